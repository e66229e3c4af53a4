/**
 * An hour's worth of churn in fast motion against one operator: rules, connectors, domains and Secrets edited, made and deleted,
 * watches cut and made to list anew. What it holds before, after each quarter, and after a pause.
 *
 *   node bench/operator-churn.ts [edits=3600] [rules=1000]
 *
 * @module
 */
import { readdirSync, readlinkSync } from "node:fs";
import { eventually } from "../test/helpers/eventually.ts";
import { startFaultProxy } from "../test/helpers/fault-proxy.ts";
import { openMailCluster, PATIENT_LEASE } from "../test/helpers/mail-cluster.ts";
import { startOperator } from "../test/helpers/operator-process.ts";
import { missCondition } from "./rule-shapes.ts";

const [edits = 3600, rules = 1000] = process.argv.slice(2).map(Number);
const QUARTERS = 4;
const AT_ONCE = 4;
/** Edits between two cuts of every watch; each third one comes with 410, so that everything is listed. */
const EDITS_PER_CUT = 300;
const CONVERGES_WITHIN_MS = 120_000;
/** For the heap to come to rest. */
const PAUSE_MS = 5000;
const DOMAINS = 20;
const CONNECTORS = 5;

const mail = await openMailCluster();
const { server, namespace } = mail;
const proxy = await startFaultProxy(server);
const operator = await startOperator({
  server,
  account: mail.account,
  apiUrl: proxy.url,
  args: [...PATIENT_LEASE, "--log-level", "error"],
});

const rule = (n: number, value: number) => ({
  priority: n + 10,
  conditions: missCondition(n),
  actions: { setHeader: [{ name: "X-Rule", value: `${value}` }] },
});
const domain = (n: number, value: number) => ({
  domains: [`domain${n}.example`, `v${value}.example${n}.example`],
});
const connector = (n: number, value: number) => ({
  addressSpaces: [{ domain: `partner${n}.example` }],
  routing: { type: "SmartHost", smartHosts: [{ host: "127.0.0.1", port: mail.sink.port }] },
  smtpMaxMessagesPerConnection: 10 + (value % 50),
});
const secret = (value: number) =>
  server.admin("PATCH", `/api/v1/namespaces/${namespace}/secrets/users?fieldManager=bench&force=true`, {
    body: JSON.stringify({
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: "users" },
      stringData: { users: `ann@contoso.example:password-${value}\n` },
    }),
    contentType: "application/apply-patch+yaml",
  });

/** The n-th edit: of twenty 12 rules, 3 domains, 2 connectors, 1 Secret, 1 rule made, 1 deleted. */
async function edit(n: number): Promise<void> {
  const kind = n % 20;
  if (kind < 12) await mail.put("TransportRule", `rule-${n % rules}`, rule(n % rules, n));
  else if (kind < 15) await mail.put("AcceptedDomain", `domain-${n % DOMAINS}`, domain(n % DOMAINS, n));
  else if (kind < 17) await mail.put("SendConnector", `out-${n % CONNECTORS}`, connector(n % CONNECTORS, n));
  else if (kind === 17) await secret(n);
  else if (kind === 18) await mail.put("TransportRule", `passing-${n}`, rule(n % rules, n));
  else await mail.remove("TransportRule", `passing-${n - 21}`);
}

async function inParallel(from: number, to: number, work: (n: number) => Promise<unknown>): Promise<void> {
  let next = from;
  const worker = async () => {
    while (next < to) await work(next++);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

async function cutWatches(isLong: boolean): Promise<void> {
  const gone = isLong ? proxy.answer({ status: 410, when: ({ verb }) => verb === "watch" }) : undefined;
  proxy.line.reset();
  if (gone !== undefined) await eventually(() => gone.given > 5);
  gone?.end();
}

function descriptors(): { sockets: number; all: number } {
  const folder = `/proc/${operator.process.pid}/fd`;
  const targets = readdirSync(folder).map((fd) => {
    try {
      return readlinkSync(`${folder}/${fd}`);
    } catch {
      return "";
    }
  });
  return { sockets: targets.filter((one) => one.startsWith("socket:")).length, all: targets.length };
}

async function countOf(path: string): Promise<number> {
  return (await server.admin("GET", path)).items.length;
}

const base = `/apis/postroom.dev/v1alpha1/namespaces/${namespace}`;
const megabytes = (octets: number) => Math.round(octets / 2 ** 20);
const rows: Record<string, number | string>[] = [];
const began = performance.now();

/** What the operator holds once it has nothing to do, the least within the pause. */
async function look(when: string): Promise<void> {
  const before = performance.now();
  await mail.converged(CONVERGES_WITHIN_MS);
  const convergedSeconds = (performance.now() - before) / 1000;
  let heap = Number.POSITIVE_INFINITY;
  for (const end = performance.now() + PAUSE_MS; performance.now() < end; ) {
    heap = Math.min(heap, await operator.metric("nodejs_heap_size_used_bytes"));
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  const { sockets, all } = descriptors();
  rows.push({
    when,
    seconds: Math.round((performance.now() - began) / 1000),
    converged: convergedSeconds.toFixed(1),
    "RSS MB": megabytes(operator.process.rss()),
    "heap MB": megabytes(heap),
    sockets,
    files: all,
    rules: await countOf(`${base}/transportrules`),
    chunks: await countOf(`${base}/snapshotchunks`),
    secrets: await countOf(`/api/v1/namespaces/${namespace}/secrets`),
    events: await countOf(`/apis/events.k8s.io/v1/namespaces/${namespace}/events`),
    heads: await operator.metric("postroom_operator_heads_written_total"),
    failed: await operator.metric("postroom_operator_reconciles_total", { outcome: "failed" }),
  });
}

try {
  await secret(0);
  await mail.put("ReceiveConnector", "client", {
    bindings: [{ port: 2587 }],
    permissionGroups: ["AuthenticatedUsers"],
    authMechanisms: ["BasicAuth"],
    credentialsRef: { name: "users" },
  });
  await inParallel(0, DOMAINS, (n) => mail.put("AcceptedDomain", `domain-${n}`, domain(n, 0)));
  await inParallel(0, CONNECTORS, (n) => mail.put("SendConnector", `out-${n}`, connector(n, 0)));
  await inParallel(0, rules, (n) => mail.put("TransportRule", `rule-${n}`, rule(n, 0)));
  await look("before");
  for (let quarter = 1; quarter <= QUARTERS; quarter += 1) {
    const last = Math.round((edits * quarter) / QUARTERS);
    for (let from = Math.round((edits * (quarter - 1)) / QUARTERS); from < last; from += EDITS_PER_CUT) {
      await inParallel(from, Math.min(from + EDITS_PER_CUT, last), edit);
      await cutWatches((from / EDITS_PER_CUT) % 3 === 2);
    }
    await look(`quarter ${quarter}`);
  }
  await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  await look("after a pause");
  console.table(rows);
} catch (cause) {
  console.table(rows);
  throw new Error(`The operator said:\n${operator.process.tail()}`, { cause });
} finally {
  await operator.process.kill("SIGTERM", 5000);
  await proxy.stop();
  await mail.stop();
}
