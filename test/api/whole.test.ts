/** Facts about all of it together: manifests in, the operator and its pods as processes, mail taken. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ApiServer, installCrds, startApiServer } from "../helpers/api-server.ts";
import { type PlayedCluster, playCluster } from "../helpers/cluster-actors.ts";
import { freePort } from "../helpers/free-port.ts";
import { installOperatorAccess, type OperatorAccount } from "../helpers/install.ts";
import { kubeAssets } from "../helpers/kube-assets.ts";
import { type OperatorProcess, startOperator } from "../helpers/operator-process.ts";
import { openDialogue } from "../helpers/smtp-dialogue.ts";

const PORT = await freePort();
/** So that a successor need not wait 15 s. */
const SHORT_LEASE = ["--lease-duration", "10", "--lease-renew-deadline", "8", "--lease-retry-period", "1"];
const OBJECTS = {
  mailtransports: ["MailTransport", "hub", { hostname: "mx.contoso.example", replicas: 2 }],
  receiveconnectors: ["ReceiveConnector", "internet", { bindings: [{ port: PORT }], tarpitInterval: "0s" }],
  accepteddomains: ["AcceptedDomain", "contoso", { domains: ["contoso.example"] }],
} as const;

describe.skipIf(kubeAssets() === undefined)("operator and pods in a played cluster", () => {
  let server: ApiServer;
  let account: OperatorAccount;
  let cluster: PlayedCluster;
  let operator: OperatorProcess;
  let base: string;
  beforeAll(async () => {
    server = await startApiServer();
    await installCrds(server);
    account = await installOperatorAccess(server);
    operator = await startOperator({ server, account, args: SHORT_LEASE });
    const namespace = await server.namespace();
    base = `/apis/postroom.dev/v1alpha1/namespaces/${namespace}`;
    cluster = await playCluster({ server, namespace });
    for (const [plural, [kind, name, spec]] of Object.entries(OBJECTS)) {
      await server.admin("POST", `${base}/${plural}`, {
        body: { apiVersion: "postroom.dev/v1alpha1", kind, metadata: { name }, spec },
      });
    }
  });
  afterAll(async () => {
    await operator?.process.kill("SIGKILL");
    await cluster?.stop();
    await server?.stop();
  });

  /** Ready as it is said of the generation that is there. */
  async function isReady(plural: string, name: string): Promise<boolean> {
    const { metadata, status } = await server.admin("GET", `${base}/${plural}/${name}`);
    const ready = status?.conditions?.find(({ type }: { type: string }) => type === "Ready");
    return ready?.status === "True" && ready.observedGeneration === metadata.generation;
  }

  async function rcpt(pod: string, recipient: string): Promise<string> {
    const { place } = await cluster.ready(pod);
    const client = await openDialogue({ host: place.address, port: PORT });
    await client.say("MAIL FROM:<ann@fabrikam.example>");
    const reply = await client.say(`RCPT TO:<${recipient}>`);
    client.close();
    return reply;
  }

  test("manifests become Ready, and every pod takes mail for the domain", async () => {
    for (const [plural, [, name]] of Object.entries(OBJECTS)) {
      await expect.poll(() => isReady(plural, name)).toBe(true);
    }
    for (const pod of ["hub-0", "hub-1"]) {
      expect(await rcpt(pod, "bob@contoso.example")).toMatch(/^250 /);
      expect(await rcpt(pod, "bob@wingtip.example")).toMatch(/^550 /);
    }
  });

  test("a killed operator is followed by another, and the next change is in force", async () => {
    await operator.process.kill("SIGKILL");
    const domains = ["contoso.example", "wingtip.example"];
    await server.admin("PATCH", `${base}/accepteddomains/contoso`, { body: { spec: { domains } } });
    expect(await rcpt("hub-0", "bob@contoso.example")).toMatch(/^250 /);
    operator = await startOperator({ server, account, args: SHORT_LEASE });
    await expect.poll(() => isReady("accepteddomains", "contoso")).toBe(true);
    expect(await rcpt("hub-1", "bob@wingtip.example")).toMatch(/^250 /);
    expect(cluster.rolls).toBe(0);
  });
});
