/**
 * A played cluster with everything in it, for tests of what fails: API server, two pods, next hop, steady mail.
 *
 *   const mail = await openMailCluster();
 *   const operator = await startOperator({ server: mail.server, account: mail.account, args: PATIENT_LEASE });
 *   await mail.put("AcceptedDomain", "fabrikam", { domains: ["fabrikam.example"] });
 *   await mail.converged(); await mail.rcpt("hub-0", "bob@fabrikam.example");
 *   const flow = mail.flow(); ... await flow.end();
 *
 * @module
 */
import { type ApiServer, type ApiServerOptions, installCrds, startApiServer } from "./api-server.ts";
import { type PlayedCluster, playCluster } from "./cluster-actors.ts";
import { eventually } from "./eventually.ts";
import { type FaultProxy, startFaultProxy } from "./fault-proxy.ts";
import { freePort } from "./free-port.ts";
import { installOperatorAccess, type OperatorAccount } from "./install.ts";
import { type MailFlow, startMailFlow } from "./mail-flow.ts";
import { type Sink, startSink } from "./sink.ts";
import { openDialogue } from "./smtp-dialogue.ts";
import { unless, versionOf } from "./stateful-sets.ts";

/** Of every pod, at its own address. */
export const PORT = await freePort();
/** So that a fault of seconds costs the leader nothing. */
export const PATIENT_LEASE = [
  ...["--lease-duration", "60"],
  ...["--lease-renew-deadline", "50"],
  ...["--lease-retry-period", "1"],
];
/** So that a test sees a leader lose its term. */
export const SHORT_LEASE = [
  ...["--lease-duration", "10"],
  ...["--lease-renew-deadline", "7"],
  ...["--lease-retry-period", "0.5"],
];

const PLURALS = {
  MailTransport: "mailtransports",
  ReceiveConnector: "receiveconnectors",
  SendConnector: "sendconnectors",
  AcceptedDomain: "accepteddomains",
  TransportRule: "transportrules",
} as const;
export type Kind = keyof typeof PLURALS;
export const PODS = ["hub-0", "hub-1"];

export interface MailCluster {
  readonly server: ApiServer;
  readonly account: OperatorAccount;
  readonly namespace: string;
  readonly cluster: PlayedCluster;
  /** Between the pods and the API server. */
  readonly podProxy: FaultProxy;
  /** Where the pods' mail goes. */
  readonly sink: Sink;
  /** Creates it, or changes its spec by merge. */
  put(kind: Kind, name: string, spec: object): Promise<void>;
  remove(kind: Kind, name: string): Promise<void>;
  /** The reply of a pod to this recipient. */
  rcpt(pod: string, recipient: string): Promise<string>;
  /** Mail to each of the pods until it is ended; left out: to all. */
  flow(pods?: readonly string[]): MailFlow;
  /** Resolves when every object is judged as it stands, and every pod serves what the head names. */
  converged(timeoutMs?: number): Promise<void>;
  /** kind/name -> resourceVersion (of StatefulSets all but the status) of everything in the namespace that the operator may write. */
  versions(): Promise<ReadonlyMap<string, string>>;
  stop(): Promise<void>;
}

// biome-ignore lint/suspicious/noExplicitAny: tests look into objects of every kind.
type Found = any;

/** The objects are there when it resolves; nobody looks after them before an operator is started. */
export async function openMailCluster(options: ApiServerOptions = {}): Promise<MailCluster> {
  const server = await startApiServer(options);
  await installCrds(server);
  const account = await installOperatorAccess(server);
  const namespace = await server.namespace("mail");
  const podProxy = await startFaultProxy(server);
  const cluster = await playCluster({ server, namespace, apiUrl: podProxy.url });
  const sink = await startSink();
  const base = `/apis/postroom.dev/v1alpha1/namespaces/${namespace}`;
  const list = async (path: string): Promise<readonly Found[]> => (await server.admin("GET", path)).items;

  const put: MailCluster["put"] = async (kind, name, spec) => {
    const body = { apiVersion: "postroom.dev/v1alpha1", kind, metadata: { name }, spec };
    const path = `${base}/${PLURALS[kind]}/${name}?fieldManager=test&force=true`;
    const call = { body: JSON.stringify(body), contentType: "application/apply-patch+yaml" };
    // An API server that has just started answers 429 for custom resources.
    await eventually(() => server.admin("PATCH", path, call));
  };
  for (const [kind, name, spec] of objectsOf(sink.port)) await put(kind, name, spec);
  return {
    ...{ server, account, namespace, cluster, podProxy, sink, put },
    async remove(kind, name) {
      const path = `${base}/${PLURALS[kind]}/${name}`;
      await eventually(async () => {
        await server.admin("DELETE", path).catch(unless("NotFound"));
        return true;
      });
    },
    async rcpt(pod, recipient) {
      const host = await addressOf(cluster, pod);
      const client = await openDialogue({ host, port: PORT });
      try {
        await client.say("MAIL FROM:<ann@fabrikam.example>");
        return await client.say(`RCPT TO:<${recipient}>`);
      } finally {
        client.close();
      }
    },
    flow(pods = PODS) {
      return startMailFlow({ hosts: pods.map((pod) => () => addressOf(cluster, pod)), port: PORT, sink });
    },
    async converged(timeoutMs = 150_000) {
      await eventually(() => lookWhetherConverged(list, base), timeoutMs);
    },
    async versions() {
      const found = new Map<string, string>();
      for (const path of writablePaths(base, namespace)) {
        for (const object of await list(path))
          found.set(`${path}/${object.metadata.name}`, versionOf(path, object));
      }
      return found;
    },
    async stop() {
      await cluster.stop();
      await sink.close();
      await podProxy.stop();
      await server.stop();
    },
  };
}

function objectsOf(sinkPort: number): readonly (readonly [Kind, string, object])[] {
  const receive = { bindings: [{ port: PORT }], tarpitInterval: "0s" };
  const smartHosts = [{ host: "127.0.0.1", port: sinkPort }];
  const send = { addressSpaces: [{ domain: "*" }], routing: { type: "SmartHost", smartHosts } };
  return [
    ["MailTransport", "hub", { hostname: "mx.contoso.example", replicas: PODS.length }],
    ["ReceiveConnector", "internet", receive],
    ["SendConnector", "out", send],
    ["AcceptedDomain", "contoso", { domains: ["contoso.example"] }],
    ["TransportRule", "mark", ruleThatMarks("first")],
  ];
}

/** Every message carries the value from then on. */
export function ruleThatMarks(value: string): object {
  return {
    priority: 1,
    conditions: { recipientDomainIs: ["contoso.example"] },
    actions: { setHeader: [{ name: "X-Mark", value }] },
  };
}

async function addressOf(cluster: PlayedCluster, pod: string): Promise<string> {
  return (cluster.pod(pod) ?? (await cluster.ready(pod))).place.address;
}

/** Throws what is not yet so. */
async function lookWhetherConverged(
  list: (path: string) => Promise<readonly Found[]>,
  base: string,
): Promise<true> {
  for (const plural of Object.values(PLURALS)) {
    for (const { metadata, status } of await list(`${base}/${plural}`)) {
      const ready = status?.conditions?.find(({ type }: Found) => type === "Ready");
      if (ready?.status !== "True" || ready.observedGeneration !== metadata.generation)
        throw new Error(
          `${plural}/${metadata.name} is not Ready in generation ${metadata.generation}: ${JSON.stringify(ready)}`,
        );
    }
  }
  const [head] = await list(`${base}/transportsnapshots`);
  if (head?.spec.canary !== undefined) throw new Error("The canary is not finished");
  const pods = await list(`${base}/transportpods`);
  if (pods.length !== PODS.length) throw new Error(`There are ${pods.length} TransportPods`);
  for (const { metadata, status } of pods) {
    if (status?.snapshot?.digest !== head.spec.current.digest)
      throw new Error(`${metadata.name} does not serve revision ${head.spec.current.revision}`);
  }
  return true;
}

function writablePaths(base: string, namespace: string): readonly string[] {
  const own = [...Object.values(PLURALS), "transportsnapshots", "snapshotchunks", "transportpods"];
  const core = ["services", "serviceaccounts", "secrets", "persistentvolumeclaims"];
  const rbac = `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}`;
  return [
    ...own.map((plural) => `${base}/${plural}`),
    ...core.map((plural) => `/api/v1/namespaces/${namespace}/${plural}`),
    `/apis/apps/v1/namespaces/${namespace}/statefulsets`,
    `/apis/policy/v1/namespaces/${namespace}/poddisruptionbudgets`,
    `/apis/networking.k8s.io/v1/namespaces/${namespace}/networkpolicies`,
    `/apis/events.k8s.io/v1/namespaces/${namespace}/events`,
    `${rbac}/roles`,
    `${rbac}/rolebindings`,
  ];
}
