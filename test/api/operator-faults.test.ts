/** Facts about the operator when the API server, or the way to it, fails: it goes on by itself, and mail notices nothing. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { API_FAULTS } from "../helpers/api-faults.ts";
import { beginEdits } from "../helpers/edits-behind-faults.ts";
import { eventually } from "../helpers/eventually.ts";
import { type FaultProxy, startFaultProxy } from "../helpers/fault-proxy.ts";
import { kubeAssets } from "../helpers/kube-assets.ts";
import { type MailCluster, openMailCluster, PATIENT_LEASE } from "../helpers/mail-cluster.ts";
import { type OperatorProcess, startOperator } from "../helpers/operator-process.ts";

/** How long each fault lasts. */
const FAULT_MS = 1000;

describe.skipIf(kubeAssets() === undefined)("an operator whose API server fails", () => {
  let mail: MailCluster;
  let proxy: FaultProxy;
  let operator: OperatorProcess;
  let edits: ReturnType<typeof beginEdits>;
  beforeAll(async () => {
    mail = await openMailCluster();
    proxy = await startFaultProxy(mail.server);
    const { server, account } = mail;
    operator = await startOperator({ server, account, apiUrl: proxy.url, args: PATIENT_LEASE });
    await mail.converged();
    edits = beginEdits(mail);
  });
  afterAll(async () => {
    await operator?.process.kill("SIGKILL");
    await proxy?.stop();
    await mail?.stop();
  });

  function standsAsBefore(): void {
    expect(operator.process.hasEnded).toBe(false);
    expect(mail.cluster.rolls).toBe(0);
    expect(mail.cluster.pods().map(({ restarts }) => restarts)).toEqual([0, 0]);
  }

  test.each(API_FAULTS)("$name: what changed meanwhile is in force once it is over", async ({ begin }) => {
    const flow = mail.flow();
    const fault = await begin(proxy);
    await edits.make();
    await Promise.all([fault.met(), new Promise((resolve) => setTimeout(resolve, FAULT_MS))]);
    await fault.end();
    await edits.inForce(flow);
    expect(await flow.end()).toMatchObject({ refused: [], lost: 0, twice: 0 });
    standsAsBefore();
  });

  test("a killed API server: mail goes on, and changes made after its start are in force", async () => {
    const flow = mail.flow();
    await eventually(() => flow.arrived > 0);
    await mail.server.stopServer("SIGKILL");
    const { arrived } = flow;
    await eventually(() => flow.arrived > arrived + 20);
    await mail.server.startAgain();
    await edits.make();
    await edits.inForce(flow);
    expect(await flow.end()).toMatchObject({ refused: [], lost: 0, twice: 0 });
    standsAsBefore();
  });

  test("an API server that forgot its history: what changed while nobody watched is in force", async () => {
    const flow = mail.flow();
    await proxy.line.set({ kind: "refuse" });
    proxy.line.reset();
    await edits.make();
    await mail.server.forgetHistory();
    await proxy.line.set({ kind: "pass" });
    await edits.inForce(flow);
    expect(await flow.end()).toMatchObject({ refused: [], lost: 0, twice: 0 });
    standsAsBefore();
  });
});
