/** Facts about two operators: one writes, the other one waits and takes over. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../helpers/eventually.ts";
import { type FaultProxy, startFaultProxy } from "../helpers/fault-proxy.ts";
import { kubeAssets } from "../helpers/kube-assets.ts";
import {
  type MailCluster,
  openMailCluster,
  PODS,
  ruleThatMarks,
  SHORT_LEASE,
} from "../helpers/mail-cluster.ts";
import { type OperatorProcess, startOperator } from "../helpers/operator-process.ts";

interface Replica extends OperatorProcess {
  /** Its own way to the API server, which counts. */
  readonly proxy: FaultProxy;
}

const LEADING = "postroom_operator_leader";

describe.skipIf(kubeAssets() === undefined)("two operators of one account", () => {
  let mail: MailCluster;
  const replicas: Replica[] = [];
  let leader: Replica;
  let standby: Replica;
  beforeAll(async () => {
    mail = await openMailCluster();
    leader = await start();
    await eventually(() => leader.metric(LEADING));
    standby = await start();
    await mail.converged();
  });
  afterAll(async () => {
    for (const { process } of replicas) await process.kill("SIGKILL");
    for (const { proxy } of replicas) await proxy.stop();
    await mail?.stop();
  });

  async function start(): Promise<Replica> {
    const proxy = await startFaultProxy(mail.server);
    const { server, account } = mail;
    const operator = await startOperator({ server, account, apiUrl: proxy.url, args: SHORT_LEASE });
    replicas.push({ ...operator, proxy });
    await eventually(async () => (await fetch(`${operator.url}/readyz`)).ok);
    return { ...operator, proxy };
  }

  async function lease(): Promise<{ holderIdentity: string; leaseTransitions: number }> {
    const path = `/apis/coordination.k8s.io/v1/namespaces/${mail.account.namespace}/leases/postroom-operator`;
    return (await mail.server.admin("GET", path)).spec;
  }

  /** The mark is on mail of every pod, the domain is known to every pod. */
  async function isInForce(flow: ReturnType<MailCluster["flow"]>, name: string): Promise<boolean> {
    if (!flow.marks().every((mark) => mark === name)) return false;
    const replies = await Promise.all(PODS.map((pod) => mail.rcpt(pod, `bob@${name}.example`)));
    return replies.every((reply) => reply.startsWith("250"));
  }

  async function change(name: string): Promise<void> {
    await mail.put("TransportRule", "mark", ruleThatMarks(name));
    await mail.put("AcceptedDomain", name, { domains: [`${name}.example`] });
  }

  test("exactly one leads, and the other one reads only", async () => {
    expect([await leader.metric(LEADING), await standby.metric(LEADING)]).toEqual([1, 0]);
    expect(writesOf(standby)).toEqual([]);
    expect((await lease()).leaseTransitions).toBe(0);
  });

  test("when the leader is killed, what was changed meanwhile gets in force, and no mail suffers", async () => {
    const flow = mail.flow();
    await eventually(() => flow.arrived > 10);
    await change("before");
    await leader.process.kill("SIGKILL");
    await change("after");
    await mail.remove("AcceptedDomain", "before");
    await eventually(() => isInForce(flow, "after"), 120_000);
    await mail.converged();
    expect(await mail.rcpt("hub-0", "bob@before.example")).toMatch(/^550 /);
    expect(await flow.end()).toMatchObject({ refused: [], lost: 0, twice: 0 });
    expect(mail.cluster.rolls).toBe(0);
    expect(mail.cluster.pods().map(({ restarts }) => restarts)).toEqual([0, 0]);
    expect((await lease()).leaseTransitions).toBe(1);
    leader = standby;
  });

  test("a leader that hung finds itself deposed: it writes nothing and ends", async () => {
    standby = await start();
    process.kill(leader.process.pid, "SIGSTOP");
    await change("hung");
    await eventually(() => standby.metric(LEADING));
    await mail.converged();
    const before = writesOf(leader);
    process.kill(leader.process.pid, "SIGCONT");
    expect(await leader.process.ended).toBe(1);
    expect(writesOf(leader)).toEqual(before);
    expect((await lease()).leaseTransitions).toBe(2);
    leader = standby;
  });

  test("a leader that is told to end gives way at once, and the next one has nothing to write", async () => {
    standby = await start();
    const before = await mail.versions();
    const began = performance.now();
    const ended = leader.process.kill("SIGTERM");
    await eventually(() => standby.metric(LEADING));
    // Well before the lease would have run out.
    expect(performance.now() - began).toBeLessThan(8000);
    expect(await ended).toBe(0);
    await eventually(() => standby.metric("postroom_operator_reconciles_total", { outcome: "done" }));
    await eventually(async () => (await standby.metric("postroom_operator_status_depth")) === 0);
    expect(writesOf(standby)).toEqual(["update leases"]);
    expect(await mail.versions()).toEqual(before);
    leader = standby;
  });
});

/** "verb resource" of every write, sorted. */
function writesOf({ proxy }: Replica): string[] {
  return Object.keys(proxy.requests())
    .filter((call) => !/^(?:get|list|watch) /.test(call))
    .sort();
}
