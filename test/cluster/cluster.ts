/**
 * The cluster of this tier, for tests.
 *
 *   const place = inject("cluster");
 *   describe.skipIf(place === undefined)("...", () => {
 *     const cluster = place === undefined ? (undefined as never) : openCluster(place);
 *     await cluster.apply(yaml);
 *     await cluster.object("statefulset/hub", "mail");
 *
 * Files share it: each has namespaces of its own, and leaves Postroom installed as installPostroom() made it.
 *
 * @module
 */
import { Resolver } from "node:dns/promises";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "../helpers/eventually.ts";
import { chartArgs, helmOrThrow } from "../helpers/helm.ts";
import { type Run, run } from "../helpers/run.ts";

export interface ClusterPlace {
  readonly kubeconfig: string;
  /** Nodes have it or can pull it. */
  readonly image: string;
  /** State of a cluster of our own; left out: it is somebody else's. */
  readonly folder?: string;
}

/** Addresses of a cluster of our own; test/cluster/up.sh. */
export const HOST_ADDRESS = "10.231.0.1";
export const NODE_ADDRESS = "10.231.0.2";
export const CLIENT_ADDRESS = "10.231.0.3";

export type NodeProgram =
  | "etcd"
  | "apiserver"
  | "controllers"
  | "scheduler"
  | "containerd"
  | "kubelet"
  | "proxy"
  | "dns"
  | "volumes";

export interface Cluster {
  readonly place: ClusterPlace;
  /** Throws with kubectl's own words. */
  kubectl(...args: readonly string[]): Promise<string>;
  apply(manifests: string, namespace?: string): Promise<void>;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into objects of every kind.
  object(name: string, namespace?: string): Promise<any>;
  /** helm install|upgrade|uninstall ... against this cluster. */
  helm(...args: readonly string[]): Promise<string>;
  /** Only of our own: in the network namespace of a client with an address of its own. */
  asClient(command: string, ...args: readonly string[]): Promise<Run>;
  /** Only of our own. */
  startProgram(name: NodeProgram): Promise<void>;
  /** With TERM the API server waits a minute for its watches. */
  stopProgram(name: NodeProgram, signal?: "TERM" | "KILL"): Promise<void>;
  /** Only of our own: a command in the node's namespaces; `ctl` is containerd's client. */
  inNode(command: string, ...args: readonly string[]): Promise<void>;
  /** Only of our own: a zone of the cluster's DNS, such as "fabrikam.example"; records as in a zone file. Resolves when it is served. */
  zone(name: string, records: readonly string[]): Promise<void>;
}

const TIMEOUT_MS = 180_000;
const HERE = import.meta.dirname;

export function openCluster(place: ClusterPlace): Cluster {
  const env = { KUBECONFIG: place.kubeconfig };
  const kubectl = async (args: readonly string[], input = "") => {
    const { status, output } = await run("kubectl", args, { input, env, timeoutMs: TIMEOUT_MS });
    if (status !== 0) throw new Error(`kubectl ${args.join(" ")}: ${output}`);
    return output;
  };
  const inNamespace = (namespace?: string) => (namespace === undefined ? [] : ["--namespace", namespace]);
  const folder = () => {
    if (place.folder === undefined) throw new Error("This needs a cluster of our own");
    return place.folder;
  };
  const node = async (...args: readonly string[]) => {
    const { status, output } = await run(join(HERE, "node.sh"), [folder(), ...args], {
      timeoutMs: TIMEOUT_MS,
    });
    if (status !== 0) throw new Error(`node.sh ${args.join(" ")}: ${output}`);
  };
  return {
    place,
    kubectl: (...args) => kubectl(args),
    async apply(manifests, namespace) {
      await kubectl(["apply", ...inNamespace(namespace), "-f", "-"], manifests);
    },
    async object(name, namespace) {
      return JSON.parse(await kubectl(["get", name, ...inNamespace(namespace), "-o", "json"]));
    },
    helm: (...args) => helmOrThrow(...args, "--kubeconfig", place.kubeconfig),
    asClient: (command, ...args) => run("ip", ["netns", "exec", "postroom-client", command, ...args]),
    startProgram: (name) => node("start", name),
    stopProgram: (name, signal = "TERM") => node("stop", name, signal),
    inNode: (command, ...args) => node("run", command, ...args),
    zone: (name, records) => serveZone(join(folder(), "zones", `${name}.zone`), name, records),
  };
}

async function serveZone(path: string, name: string, records: readonly string[]): Promise<void> {
  // Greater than any before, also of an earlier process.
  const serial = Math.floor(Date.now() / 1000);
  const soa = `@ 5 IN SOA ns.${name}. hostmaster.${name}. ${serial} 60 60 60 5`;
  writeFileSync(path, [`$ORIGIN ${name}.`, soa, `@ 5 IN NS ns.${name}.`, ...records, ""].join("\n"));
  const resolver = new Resolver();
  resolver.setServers([NODE_ADDRESS]);
  await eventually(async () => (await resolver.resolveSoa(name)).serial === serial);
}

/** The chart as the README installs it, or as it stands already. */
export async function installPostroom(cluster: Cluster): Promise<void> {
  const [repository, tag] = splitImage(cluster.place.image);
  await cluster.helm(
    "upgrade",
    "--install",
    "postroom",
    ...chartArgs("charts/postroom", {
      namespace: "postroom-system",
      values: { "image.repository": repository, "image.tag": tag },
    }),
    "--create-namespace",
    "--wait",
    "--timeout",
    "120s",
  );
}

function splitImage(image: string): [repository: string, tag: string] {
  const colon = image.lastIndexOf(":");
  return [image.slice(0, colon), image.slice(colon + 1)];
}

/** Resolves when as many pods as the transport asks for are ready. Rejects with what stands there, and what all of them say. */
export async function transportReady(cluster: Cluster, name: string, namespace: string): Promise<void> {
  const ready = eventually(async () => {
    const { spec, status } = await cluster.object(`statefulset/${name}`, namespace);
    return status?.readyReplicas === spec.replicas && status?.updatedReplicas === spec.replicas;
  }, TIMEOUT_MS);
  await ready.catch(async (cause: unknown) => {
    const asked = [
      ["get", "all,mtr,tsnap,tpod", "--namespace", namespace, "-o", "yaml"],
      ["describe", "pods,pvc,pv", "--namespace", namespace],
      ["events", "--namespace", namespace],
      [
        "logs",
        "--namespace",
        namespace,
        "--selector",
        "app.kubernetes.io/name=postroom",
        "--tail=60",
        "--prefix",
      ],
      [
        "logs",
        "--namespace",
        "postroom-system",
        "--selector",
        "app.kubernetes.io/name=postroom",
        "--tail=200",
        "--prefix",
      ],
    ];
    const told = await Promise.all(
      asked.map((args) => cluster.kubectl(...args).catch((fault: unknown) => String(fault))),
    );
    throw new Error(["The transport is not ready", ...told].join("\n"), { cause });
  });
}

/** The node port behind which a transport listens on `port`. */
export async function nodePort(
  cluster: Cluster,
  service: string,
  { namespace, port }: { namespace: string; port: number },
): Promise<number> {
  return eventually(async () => {
    const { spec } = await cluster.object(`service/${service}`, namespace);
    return spec.ports.find((one: { port: number }) => one.port === port)?.nodePort;
  });
}
