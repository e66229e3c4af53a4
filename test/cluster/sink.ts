/**
 * A mail server as a pod, from Postroom's own image: takes all mail on port 25 of the Service, gives it out as JSON.
 *
 *   const sink = await startSink(cluster, "sinks");   // sink.host
 *   const [message] = await sink.messagesReach(1);
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "../helpers/eventually.ts";
import type { Cluster } from "./cluster.ts";

export interface SinkMessage {
  readonly sender: string;
  readonly recipients: readonly string[];
  readonly content: string;
}

export interface Sink {
  /** Its name in the cluster's DNS. */
  readonly host: string;
  /** Of the Service. */
  readonly address: string;
  messages(): Promise<readonly SinkMessage[]>;
  messagesReach(count: number): Promise<readonly SinkMessage[]>;
  /** Message-ID, without its brackets -> times it came. */
  ids(): Promise<ReadonlyMap<string, number>>;
}

const PROGRAM = readFileSync(join(import.meta.dirname, "sink-server.js"), "utf8");
const WAIT_MS = 90_000;

export async function startSink(cluster: Cluster, namespace: string, name = "sink"): Promise<Sink> {
  const labels = { app: name };
  const objects = [
    { apiVersion: "v1", kind: "ConfigMap", metadata: { name }, data: { "sink-server.js": PROGRAM } },
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name },
      spec: { selector: labels, ports: [{ port: 25, targetPort: 2525 }] },
    },
    { apiVersion: "v1", kind: "Pod", metadata: { name, labels }, spec: podSpec(cluster, name) },
  ];
  await cluster.apply(JSON.stringify({ apiVersion: "v1", kind: "List", items: objects }), namespace);
  await cluster.kubectl(
    "wait",
    "--namespace",
    namespace,
    "--for=condition=Ready",
    `pod/${name}`,
    "--timeout=90s",
  );
  const { spec } = await cluster.object(`service/${name}`, namespace);
  const ask = async (path: string) =>
    JSON.parse(
      await cluster.kubectl(
        "get",
        "--raw",
        `/api/v1/namespaces/${namespace}/pods/${name}:8080/proxy/${path}`,
      ),
    );
  const messages = (): Promise<SinkMessage[]> => ask("");
  return {
    host: `${name}.${namespace}.svc.cluster.local`,
    address: spec.clusterIP,
    messages,
    ids: async () => new Map(Object.entries<number>(await ask("ids"))),
    messagesReach: (count) =>
      eventually(async () => {
        const all = await messages();
        return all.length >= count ? all : undefined;
      }, WAIT_MS),
  };
}

function podSpec({ place }: Cluster, configMap: string) {
  return {
    terminationGracePeriodSeconds: 1,
    automountServiceAccountToken: false,
    containers: [
      {
        name: "sink",
        image: place.image,
        command: ["/usr/bin/node", "/sink/sink-server.js"],
        readinessProbe: { httpGet: { path: "/", port: 8080 }, periodSeconds: 1 },
        volumeMounts: [{ name: "program", mountPath: "/sink" }],
      },
    ],
    volumes: [{ name: "program", configMap: { name: configMap } }],
  };
}
