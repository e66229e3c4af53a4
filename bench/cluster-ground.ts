/** What benches of a cluster stand on: a real API server and etcd, the operator and the pods as processes, many objects. */
import { type ApiServer, installCrds, startApiServer } from "../test/helpers/api-server.ts";
import { type PlayedCluster, playCluster } from "../test/helpers/cluster-actors.ts";
import { installOperatorAccess } from "../test/helpers/install.ts";
import { type OperatorProcess, startOperator } from "../test/helpers/operator-process.ts";
import { transportCommand } from "../test/helpers/pod-runner.ts";
import { missCondition } from "./rule-shapes.ts";

export const PORT = 2525;
const PLURALS: Readonly<Record<string, string>> = {
  MailTransport: "mailtransports",
  ReceiveConnector: "receiveconnectors",
  SendConnector: "sendconnectors",
  AcceptedDomain: "accepteddomains",
  TransportRule: "transportrules",
};
const CALLS_AT_ONCE = 16;
const SETTLED_MS = 300_000;

export interface BenchObject {
  readonly kind: string;
  readonly name: string;
  readonly spec: object;
}

export interface Ground {
  readonly server: ApiServer;
  readonly operator: OperatorProcess;
  readonly cluster: PlayedCluster;
  /** Creates them, several at a time. */
  create(objects: readonly BenchObject[]): Promise<void>;
  patch(kind: string, name: string, spec: object): Promise<void>;
  /** Resolves when every pod serves the newest revision, and no status waits to be written. */
  settled(): Promise<void>;
  stop(): Promise<void>;
}

export interface GroundOptions {
  /** Where processes leave a CPU profile when they end; left out: none is taken. */
  readonly profiles?: string | undefined;
  /** What the pods call; left out: the API server itself. */
  podsCall?(server: ApiServer): Promise<string>;
}

export async function startGround({ profiles, podsCall }: GroundOptions = {}): Promise<Ground> {
  const server = await startApiServer();
  await installCrds(server);
  const account = await installOperatorAccess(server);
  const nodeArgs = profiles === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profiles}`];
  const operator = await startOperator({ server, account, nodeArgs });
  const namespace = await server.namespace("mail");
  const apiUrl = await podsCall?.(server);
  const cluster = await playCluster({
    server,
    namespace,
    ...(apiUrl && { apiUrl }),
    command(place) {
      const { args, ...rest } = transportCommand(place);
      return { ...rest, args: [...nodeArgs, ...args] };
    },
  });
  const path = (kind: string) => `/apis/postroom.dev/v1alpha1/namespaces/${namespace}/${PLURALS[kind]}`;
  return {
    server,
    operator,
    cluster,
    create: (objects) =>
      inParallel(objects, async ({ kind, name, spec }) => {
        const body = { apiVersion: "postroom.dev/v1alpha1", kind, metadata: { name }, spec };
        await server.admin("POST", path(kind), { body });
      }),
    async patch(kind, name, spec) {
      await server.admin("PATCH", `${path(kind)}/${name}`, { body: { spec } });
    },
    settled: () =>
      until(async () => {
        const { status } = await server.admin("GET", `${path("MailTransport")}/hub`);
        const [acknowledged, ready] = String(status?.snapshot?.acknowledged ?? "0/0").split("/");
        const isServed = ready !== "0" && acknowledged === ready;
        return isServed && (await operator.metric("postroom_operator_status_depth")) === 0;
      }, SETTLED_MS),
    async stop() {
      await operator.process.kill("SIGTERM");
      if (profiles !== undefined) await Promise.all(cluster.pods().map((pod) => pod.end("SIGTERM", 10_000)));
      await cluster.stop();
      await server.stop();
    },
  };
}

/** A transport that takes mail for one domain and hands everything to one host. */
export function relayObjects(options: {
  readonly replicas: number;
  readonly nextHopPort: number;
}): BenchObject[] {
  const smartHosts = [{ host: "127.0.0.1", port: options.nextHopPort }];
  return [
    {
      kind: "MailTransport",
      name: "hub",
      spec: { hostname: "mx.contoso.example", replicas: options.replicas },
    },
    {
      kind: "ReceiveConnector",
      name: "in",
      spec: { bindings: [{ port: PORT }], maxInboundConnectionPerSource: 1000 },
    },
    { kind: "AcceptedDomain", name: "contoso", spec: { domains: ["contoso.example"] } },
    {
      kind: "SendConnector",
      name: "out",
      spec: {
        addressSpaces: [{ domain: "*" }],
        routing: { type: "SmartHost", smartHosts },
        tls: { mode: "None" },
      },
    },
  ];
}

/** Rules of mixed kinds that hold for no message of the bench. */
export function missRules(count: number): BenchObject[] {
  return Array.from({ length: count }, (_, n) => ({
    kind: "TransportRule",
    name: `rule-${n}`,
    spec: {
      priority: n,
      conditions: missCondition(n),
      actions: { setHeader: [{ name: "X-Rule", value: `${n}` }] },
    },
  }));
}

/** What the API server and its etcd counted so far. */
export interface ServerCounts {
  /** "verb resource" -> requests; objects of Postroom and Secrets only. */
  readonly requests: ReadonlyMap<string, number>;
  /** Octets put into etcd, all of it. */
  readonly etcdOctets: number;
}

export async function countsOf(server: ApiServer): Promise<ServerCounts> {
  const requests = new Map<string, number>();
  const text = await server.admin<string>("GET", "/metrics");
  for (const line of text.split("\n")) {
    if (!line.startsWith("apiserver_request_total{")) continue;
    if (!/group="(postroom\.dev|coordination\.k8s\.io)"|resource="secrets"/.test(line)) continue;
    const label = (name: string) => new RegExp(`\\b${name}="([^"]*)"`).exec(line)?.[1] ?? "";
    const subresource = label("subresource");
    const key = `${label("verb")} ${label("resource")}${subresource && `/${subresource}`}`;
    requests.set(key, (requests.get(key) ?? 0) + Number(line.slice(line.lastIndexOf(" "))));
  }
  const etcd = await textAt(`${server.etcdUrl}/metrics`);
  const put = /^etcd_debugging_mvcc_total_put_size_in_bytes (\S+)$/m.exec(etcd)?.[1];
  return { requests, etcdOctets: Number(put) };
}

/** What came to `before` since. */
export function since(
  before: ReadonlyMap<string, number>,
  now: ReadonlyMap<string, number>,
): Record<string, number> {
  const rows = [...now].map(([key, count]) => [key, count - (before.get(key) ?? 0)] as const);
  return Object.fromEntries(rows.filter(([, count]) => count > 0).sort(([, a], [, b]) => b - a));
}

/** Rises of every series of one metric of the operator: labels -> value. */
export async function operatorCounts({ url }: OperatorProcess, name: string): Promise<Map<string, number>> {
  const lines = (await textAt(`${url}/metrics`)).split("\n").filter((line) => line.startsWith(name));
  return new Map(
    lines.map((line) => {
      const labels = [...line.matchAll(/(\w+)="([^"]*)"/g)].map(([, , value]) => value);
      return [labels.join(" "), Number(line.slice(line.lastIndexOf(" ")))];
    }),
  );
}

export async function until(look: () => boolean | Promise<boolean>, timeoutMs = 20_000): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!(await look())) {
    if (performance.now() > end) throw new Error(`It did not come true within ${timeoutMs / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function textAt(url: string): Promise<string> {
  return (await fetch(url)).text();
}

async function inParallel<Item>(items: readonly Item[], work: (item: Item) => Promise<void>): Promise<void> {
  const queue = items.values();
  const worker = async () => {
    for (const item of queue) await work(item);
  };
  await Promise.all(Array.from({ length: CALLS_AT_ONCE }, worker));
}
