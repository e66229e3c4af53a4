/** One transport pod in this process, fed by a fake cluster: temporary state folder, random ports, log lines kept. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import type { Clock } from "../../lib/clock.ts";
import type { KubeHttp } from "../../lib/kube/types.ts";
import { startTransport, type Transport } from "../../transport/main.ts";
import { NAMESPACE, TRANSPORT } from "./fake-cluster.ts";
import { freePort } from "./free-port.ts";

export interface ClusterPod {
  /** Resolves when its first configuration is in force. */
  readonly started: Promise<Transport>;
  readonly state: string;
  readonly logs: readonly Readonly<Record<string, unknown>>[];
  get(path: string): Promise<{ readonly status: number; readonly text: string }>;
  stop(): Promise<void>;
}

export interface ClusterPodOptions {
  readonly http: KubeHttp;
  readonly namespace?: string;
  readonly pod?: string;
  /** Of an earlier pod; it is not removed. */
  readonly state?: string;
  readonly clock?: Clock;
}

export async function startClusterPod(options: ClusterPodOptions): Promise<ClusterPod> {
  const { http, pod = "hub-0", namespace = NAMESPACE, clock } = options;
  const state = options.state ?? (await mkdtemp(join(tmpdir(), "postroom-pod-")));
  const port = await freePort();
  const logs: Record<string, unknown>[] = [];
  const write = (line: string) => void logs.push(JSON.parse(line));
  const ending = new AbortController();
  const started = startTransport({
    source: { cluster: { http, namespace, transport: TRANSPORT, pod } },
    state,
    http: { host: "127.0.0.1", port },
    signal: ending.signal,
    clock,
    log: pino({ level: "debug", base: null }, { write }),
  });
  started.catch(() => {});
  return {
    started,
    state,
    logs,
    async get(path) {
      const response = await fetch(`http://127.0.0.1:${port}${path}`);
      return { status: response.status, text: (await response.text()).trim() };
    },
    async stop() {
      ending.abort(new Error("the test is over"));
      await started.then(
        (transport) => transport.stop(1000),
        () => {},
      );
      if (options.state === undefined) await rm(state, { recursive: true, force: true });
    },
  };
}
