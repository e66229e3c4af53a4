/** From nothing to the first delivered message, with commands that an administrator would write; seconds for each. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, inject, test } from "vitest";
import { eventually } from "../helpers/eventually.ts";
import { guarded } from "../helpers/process-guard.ts";
import { run } from "../helpers/run.ts";
import {
  CLIENT_ADDRESS,
  type Cluster,
  HOST_ADDRESS,
  installPostroom,
  NODE_ADDRESS,
  nodePort,
  openCluster,
  transportReady,
} from "./cluster.ts";
import { type Sink, startSink } from "./sink.ts";

const place = inject("cluster");
const NAMESPACE = "first-mail";
const PROXY_PORT = 2626;

const manifests = (sinkHost: string) => `
apiVersion: postroom.dev/v1alpha1
kind: MailTransport
metadata: {name: hub}
spec:
  hostname: mx.contoso.example
  replicas: 2
  service: {type: NodePort}
  queue: {storage: {size: 1Gi}}
---
apiVersion: postroom.dev/v1alpha1
kind: ReceiveConnector
metadata: {name: internet}
spec:
  bindings: [{port: 25}]
  permissionGroups: [AnonymousUsers]
---
apiVersion: postroom.dev/v1alpha1
kind: ReceiveConnector
metadata: {name: behind-balancer}
spec:
  bindings: [{port: ${PROXY_PORT}}]
  permissionGroups: [AnonymousUsers]
  proxyProtocol: {trustedCIDRs: [${HOST_ADDRESS}/32]}
---
apiVersion: postroom.dev/v1alpha1
kind: AcceptedDomain
metadata: {name: contoso}
spec: {domains: [contoso.example]}
---
apiVersion: postroom.dev/v1alpha1
kind: AcceptedDomain
metadata: {name: fabrikam}
spec: {domains: [fabrikam.example], type: ExternalRelay}
---
apiVersion: postroom.dev/v1alpha1
kind: SendConnector
metadata: {name: mailboxes}
spec:
  addressSpaces: [{domain: contoso.example}]
  routing: {type: SmartHost, smartHosts: [{host: ${sinkHost}}]}
---
apiVersion: postroom.dev/v1alpha1
kind: SendConnector
metadata: {name: internet}
spec:
  addressSpaces: [{domain: "*"}]
  routing: {type: MX}
`;

describe.skipIf(place === undefined)("first mail", () => {
  const cluster = place === undefined ? (undefined as never) : openCluster(place);
  let sink: Sink;
  const laps: string[] = [];
  const lap = async <T>(name: string, step: () => Promise<T>): Promise<T> => {
    const begun = performance.now();
    const result = await step();
    laps.push(`${((performance.now() - begun) / 1000).toFixed(1)} s  ${name}`);
    return result;
  };

  afterAll(async () => {
    console.log(laps.map((line) => `first mail: ${line}`).join("\n"));
    await cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false");
  });

  test("comes by the Service and reaches a mailbox server by its name", async () => {
    await lap("helm install, operator ready", () => installPostroom(cluster));
    await cluster.kubectl("create", "namespace", NAMESPACE);
    sink = await lap("a mailbox server as a pod", () => startSink(cluster, NAMESPACE));
    await lap("kubectl apply of transport, connectors and domains", () =>
      cluster.apply(manifests(sink.host), NAMESPACE),
    );
    await lap("both pods ready", () => transportReady(cluster, "hub", NAMESPACE));
    await lap("a message accepted", () => sendFromHere(cluster, "first@contoso.example"));
    const [message] = await lap("and delivered", () => sink.messagesReach(1));
    expect(message?.recipients).toEqual(["first@contoso.example"]);
    laps.push(...(await memoryOfPods(cluster)));
    laps.push(await cluster.kubectl("get", "mtr,rcv,snd,adom", "--namespace", NAMESPACE));
  });

  test("comes again after a pod was killed with no grace", async () => {
    const { metadata } = await cluster.object("pod/hub-1", NAMESPACE);
    await lap("a killed pod there again and ready", async () => {
      await cluster.kubectl("delete", "pod/hub-1", "--namespace", NAMESPACE, "--grace-period=0", "--force");
      await eventually(async () => {
        const pod = await cluster.object("pod/hub-1", NAMESPACE);
        return pod.metadata.uid !== metadata.uid && isReady(pod);
      }, 60_000);
    });
    await sendFromHere(cluster, "again@contoso.example");
    expect(await received(sink, "again@contoso.example")).toBeDefined();
  });

  test.skipIf(place?.folder === undefined)("goes where the MX record says", async () => {
    await cluster.zone("fabrikam.example", ["@ 5 IN MX 10 mx", `mx 5 IN A ${sink.address}`]);
    await sendFromHere(cluster, "mx@fabrikam.example");
    expect(await received(sink, "mx@fabrikam.example")).toBeDefined();
  });

  test.skipIf(place?.folder === undefined)("bears the client's own address through a node port", async () => {
    const port = await nodePort(cluster, "hub", { namespace: NAMESPACE, port: 25 });
    const { output } = await cluster.asClient(
      "swaks",
      ...swaksArgs(NODE_ADDRESS, port, "direct@contoso.example"),
    );
    expect(output).toContain("250 2.6.0");
    expect((await received(sink, "direct@contoso.example")).content).toContain(`[${CLIENT_ADDRESS}]`);
  });

  test.skipIf(place?.folder === undefined)("bears it behind a balancer that speaks PROXY v2", async () => {
    const port = await nodePort(cluster, "hub", { namespace: NAMESPACE, port: PROXY_PORT });
    const balancer = await startBalancer(port);
    try {
      const { output } = await eventually(async () => {
        const sent = await cluster.asClient(
          "swaks",
          ...swaksArgs(HOST_ADDRESS, balancer.port, "proxied@contoso.example"),
        );
        return sent.status === 0 ? sent : undefined;
      });
      expect(output).toContain("250 2.6.0");
      const { content } = await received(sink, "proxied@contoso.example");
      expect(content).toContain(`[${CLIENT_ADDRESS}]`);
      expect(content).not.toContain(`[${HOST_ADDRESS}]`);
    } finally {
      await balancer.stop();
    }
  });
});

const swaksArgs = (server: string, port: number, to: string) => [
  ...["--server", server, "--port", String(port), "--timeout", "10s"],
  ...["--from", "ann@client.example", "--to", to, "--ehlo", "client.example"],
];

/** From this machine: by the node port of our own node, else through the API server. */
async function sendFromHere(cluster: Cluster, to: string): Promise<void> {
  if (cluster.place.folder !== undefined) {
    const port = await nodePort(cluster, "hub", { namespace: NAMESPACE, port: 25 });
    return send(NODE_ADDRESS, port, to);
  }
  const forward = guarded(
    spawn("kubectl", ["--namespace", NAMESPACE, "port-forward", "service/hub", "12525:25"], {
      env: { ...process.env, KUBECONFIG: cluster.place.kubeconfig },
    }),
  );
  await send("127.0.0.1", 12525, to).finally(() => forward.kill());
}

async function send(server: string, port: number, to: string): Promise<void> {
  await eventually(async () => {
    const { status, output } = await run("swaks", swaksArgs(server, port, to));
    if (status !== 0) throw new Error(output);
    return true;
  }, 60_000);
}

async function received(sink: Sink, recipient: string) {
  return eventually(async () => {
    const all = await sink.messages();
    return all.find(({ recipients }) => recipients.includes(recipient));
  }, 60_000);
}

/** What only these processes hold, as the kernel counts it for their cgroups; Node's own program is shared. */
async function memoryOfPods(cluster: Cluster): Promise<string[]> {
  const { items: nodes } = await cluster.object("nodes");
  const summaries = await Promise.all(
    nodes.map(({ metadata }: { metadata: { name: string } }) =>
      cluster.kubectl(
        "get",
        "--raw",
        `/api/v1/nodes/${metadata.name}/proxy/stats/summary?only_cpu_and_memory=true`,
      ),
    ),
  );
  return summaries
    .flatMap((text: string): readonly PodMemory[] => JSON.parse(text).pods)
    .filter(({ podRef }) => [NAMESPACE, "postroom-system"].includes(podRef.namespace))
    .flatMap(({ podRef, containers = [] }) =>
      containers.map(({ memory }) => `${Math.round((memory?.rssBytes ?? 0) / 1e6)} MB RSS  ${podRef.name}`),
    );
}

interface PodMemory {
  readonly podRef: { readonly name: string; readonly namespace: string };
  readonly containers?: readonly { readonly memory?: { readonly rssBytes?: number } }[];
}

interface PodStatus {
  readonly status: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

function isReady({ status }: PodStatus): boolean {
  return status.conditions?.some((one) => one.type === "Ready" && one.status === "True") ?? false;
}

/** haproxy on the host's side of the bridge: clients see its address, the transport the client's. */
async function startBalancer(targetPort: number): Promise<{ port: number; stop(): Promise<void> }> {
  const port = 2500;
  const folder = mkdtempSync(join(tmpdir(), "postroom-haproxy-"));
  const path = join(folder, "haproxy.cfg");
  writeFileSync(
    path,
    [
      "defaults",
      "  mode tcp",
      "  timeout connect 5s",
      "  timeout client 60s",
      "  timeout server 60s",
      "listen smtp",
      `  bind ${HOST_ADDRESS}:${port}`,
      `  server node ${NODE_ADDRESS}:${targetPort} send-proxy-v2`,
      "",
    ].join("\n"),
  );
  const child = guarded(spawn("/usr/sbin/haproxy", ["-f", path, "-db"], { stdio: "ignore" }));
  const ended = new Promise((resolve) => child.once("exit", resolve));
  return {
    port,
    async stop() {
      child.kill("SIGKILL");
      await ended;
      rmSync(folder, { recursive: true });
    },
  };
}
