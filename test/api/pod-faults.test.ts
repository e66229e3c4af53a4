/** Facts about pods when the API server, or the way to it, fails: mail goes on, and what changed comes when it is over. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { API_FAULTS } from "../helpers/api-faults.ts";
import { beginEdits } from "../helpers/edits-behind-faults.ts";
import { eventually } from "../helpers/eventually.ts";
import { kubeAssets } from "../helpers/kube-assets.ts";
import { type MailCluster, openMailCluster, PATIENT_LEASE } from "../helpers/mail-cluster.ts";
import { type OperatorProcess, startOperator } from "../helpers/operator-process.ts";

/** How long each fault lasts. */
const FAULT_MS = 1000;

describe.skipIf(kubeAssets() === undefined)("pods whose API server fails", () => {
  let mail: MailCluster;
  let operator: OperatorProcess;
  let edits: ReturnType<typeof beginEdits>;
  beforeAll(async () => {
    mail = await openMailCluster();
    const { server, account } = mail;
    operator = await startOperator({ server, account, args: PATIENT_LEASE });
    await mail.converged();
    edits = beginEdits(mail);
  });
  afterAll(async () => {
    await operator?.process.kill("SIGKILL");
    await mail?.stop();
  });

  const restarts = () => mail.cluster.pods().map((pod) => pod.restarts);

  test.each(API_FAULTS)(
    "$name: mail goes on, and what changed meanwhile comes after it",
    async ({ begin }) => {
      const flow = mail.flow();
      const fault = await begin(mail.podProxy);
      await edits.make();
      await Promise.all([fault.met(), new Promise((resolve) => setTimeout(resolve, FAULT_MS))]);
      await fault.end();
      await edits.inForce(flow);
      expect(await flow.end()).toMatchObject({ refused: [], lost: 0, twice: 0 });
      expect(restarts()).toEqual([0, 0]);
    },
  );

  test("a pod that dies while the API server is away comes back from its disk and takes mail", async () => {
    const flow = mail.flow(["hub-0"]);
    await mail.server.stopServer("SIGKILL");
    const pod = await mail.cluster.ready("hub-1");
    await pod.process.kill("SIGKILL");
    const reply = await eventually(() => mail.rcpt("hub-1", "bob@contoso.example"));
    expect(reply).toMatch(/^250 /);
    await mail.server.startAgain();
    const path = `/apis/postroom.dev/v1alpha1/namespaces/${mail.namespace}/transportpods/hub-1`;
    await expect.poll(async () => (await mail.server.admin("GET", path)).status.source).toBe("Disk");
    const both = mail.flow();
    await edits.make();
    await edits.inForce(both);
    expect(await flow.end()).toMatchObject({ refused: [], lost: 0, twice: 0 });
    expect(await both.end()).toMatchObject({ refused: [], lost: 0, twice: 0 });
    expect(operator.process.hasEnded).toBe(false);
  });
});
