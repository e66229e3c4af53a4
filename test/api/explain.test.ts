/** `postroom explain` of a live cluster: the same answer as from a folder that holds the same objects. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ApiServer, installCrds, startApiServer } from "../helpers/api-server.ts";
import { applyManifests } from "../helpers/applied-manifests.ts";
import { eventually } from "../helpers/eventually.ts";
import { installOperatorAccess } from "../helpers/install.ts";
import { kubeAssets } from "../helpers/kube-assets.ts";
import { type OperatorProcess, startOperator } from "../helpers/operator-process.ts";
import { postroom } from "../helpers/postroom.ts";

const SAMPLES = join(import.meta.dirname, "../../samples/contoso");
const HEAD = "apiVersion: postroom.dev/v1alpha1\nkind:";
/** A transport that takes objects of namespaces with a label, and objects there. */
const SHARED = `
apiVersion: v1
kind: Namespace
metadata: {name: sales, labels: {mail: "yes"}}
---
apiVersion: v1
kind: Namespace
metadata: {name: guests}
---
apiVersion: v1
kind: Namespace
metadata: {name: mail}
---
${HEAD} MailTransport
metadata: {name: edge, namespace: mail}
spec:
  hostname: edge.contoso.example
  replicas: 0
  allowedNamespaces: {from: Selector, selector: {matchLabels: {mail: "yes"}}}
---
${HEAD} ReceiveConnector
metadata: {name: internet, namespace: mail}
spec: {bindings: [{port: 25}]}
---
${HEAD} AcceptedDomain
metadata: {name: sales, namespace: sales}
spec: {domains: [sales.example], transportRefs: [{name: edge, namespace: mail}]}
---
${HEAD} AcceptedDomain
metadata: {name: guests, namespace: guests}
spec: {domains: [guests.example], transportRefs: [{name: edge, namespace: mail}]}
`;
const FROM_EVE = ["--from", "eve@fabrikam.example"];

describe.skipIf(kubeAssets() === undefined)("postroom explain at a real API server", () => {
  let server: ApiServer;
  let operator: OperatorProcess | undefined;
  const folder = mkdtempSync(join(tmpdir(), "postroom-explain-"));
  beforeAll(async () => {
    server = await startApiServer();
  });
  afterAll(async () => {
    await operator?.process.kill("SIGKILL");
    await server?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const explain = (...words: string[]) =>
    postroom("explain", "--kubeconfig", server.kubeconfigPath, ...words);
  const message = (to: string) => [...FROM_EVE, "--to", to];

  test("a cluster without the kinds is said to have none", async () => {
    const { code, stderr } = await explain("--context", "test", ...message("ann@contoso.example"));
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr:
        "postroom: This cluster does not have the kinds of postroom.dev/v1alpha1: apply charts/postroom/files/crds\n",
    });
  });

  describe("with the kinds installed", () => {
    beforeAll(async () => {
      await installCrds(server);
      for (const file of readdirSync(SAMPLES))
        await applyManifests(server, readFileSync(join(SAMPLES, file), "utf8"));
      await applyManifests(server, SHARED);
      writeFileSync(join(folder, "shared.yaml"), SHARED);
    });

    test.each([
      { name: "a mailbox", words: message("ann@contoso.example") },
      { name: "an unknown recipient", words: message("nobody@contoso.example") },
      { name: "a stranger's relaying", words: message("dora@outside.example") },
      {
        name: "a user's mail to the outside",
        words: [
          "--from",
          "ann@contoso.example",
          "--to",
          "dora@outside.example",
          "--user",
          "ann@contoso.example",
          "--port",
          "2587",
        ],
      },
      { name: "JSON", words: [...message("everyone@contoso.example"), "-o", "json"] },
    ])("$name is answered as from the samples' folder", async ({ words }) => {
      const live = await explain("-n", "default", ...words);
      const { code, stdout } = await postroom("explain", "--manifests", SAMPLES, ...words);
      expect({ code: live.code, stdout: live.stdout }).toEqual({ code, stdout });
      expect(live.stderr).toBe(
        "MailTransport default/hub serves nothing yet: the operator has published nothing\n",
      );
    });

    test.each(["ann@sales.example", "ann@guests.example"])(
      "namespaces chosen by their labels count as in a folder: %s",
      async (to) => {
        const live = await explain("--transport", "mail/edge", ...message(to));
        const { code, stdout } = await postroom(
          "explain",
          "--manifests",
          folder,
          "--transport",
          "mail/edge",
          ...message(to),
        );
        expect({ code: live.code, stdout: live.stdout }).toEqual({ code, stdout });
        expect(stdout).toMatch(
          to.includes("sales") ? /ann@sales.example +accepted/ : /550 5\.7\.1 Unable to relay/,
        );
      },
    );

    test("who may not read is told what is missing", async () => {
      await server.admin("POST", "/api/v1/namespaces/default/serviceaccounts", {
        body: { metadata: { name: "eve" } },
      });
      const config = JSON.parse(readFileSync(server.kubeconfigPath, "utf8"));
      config.users[0].user.token = await server.tokenFor({ namespace: "default", serviceAccount: "eve" });
      const path = join(folder, "eve.kubeconfig");
      writeFileSync(path, JSON.stringify(config));
      const { code, stderr } = await postroom(
        "explain",
        "--kubeconfig",
        path,
        ...message("ann@contoso.example"),
      );
      expect(code).toBe(1);
      expect(stderr).toMatch(
        /^postroom: .*403 Forbidden: .*"system:serviceaccount:default:eve" cannot list resource "mailtransports".*\n$/,
      );
    });

    test.each([
      { name: "no such context", words: ["--context", "prod"], says: 'it has no context "prod"' },
      {
        name: "no such namespace",
        words: ["-n", "nowhere"],
        says: "There is no MailTransport in namespace nowhere",
      },
      {
        name: "no such transport",
        words: ["--transport", "hop"],
        says: "There is no MailTransport default/hop; there is default/hub",
      },
    ])("$name is one line", async ({ words, says }) => {
      const { code, stderr } = await explain(...words, ...message("ann@contoso.example"));
      expect({ code, lines: stderr.trimEnd().split("\n").length }).toEqual({ code: 1, lines: 1 });
      expect(stderr).toContain(says);
    });

    test("a kubeconfig that is not there is one line", async () => {
      const path = join(folder, "none");
      const { code, stderr } = await postroom(
        "explain",
        "--kubeconfig",
        path,
        ...message("ann@contoso.example"),
      );
      expect({ code, stderr }).toEqual({
        code: 1,
        stderr: `postroom: Cannot read the kubeconfig "${path}": there is no such file\n`,
      });
    });

    test("nothing is added when the operator has published the same, and one line when it has not", async () => {
      operator = await startOperator({ server, account: await installOperatorAccess(server) });
      const words = ["--transport", "mail/edge", ...message("ann@sales.example")];
      const head = "/apis/postroom.dev/v1alpha1/namespaces/mail/transportsnapshots/edge";
      await eventually(() => server.admin("GET", head));
      expect((await explain(...words)).stderr).toBe("");
      await operator.process.kill("SIGKILL");
      const domains = ["sales.example", "sales.test"];
      await server.admin("PATCH", "/apis/postroom.dev/v1alpha1/namespaces/sales/accepteddomains/sales", {
        body: { spec: { domains } },
      });
      expect((await explain(...words)).stderr).toBe(
        "MailTransport mail/edge serves revision 1, which differs: the operator has not published what the objects say now\n",
      );
    });
  });
});
