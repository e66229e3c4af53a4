/**
 * What a cluster has beyond its API server, played in one namespace: the StatefulSet controller and a node.
 *
 *   const cluster = await playCluster({ server, namespace });
 *   const pod = await cluster.ready("hub-0");
 *   ... pod.place.address, pod.process.lines, pod.process.kill("SIGKILL") ...
 *   await cluster.stop();
 *
 * Pods of a StatefulSet appear, roll and go as Kubernetes has it (stateful-set-steps.ts); each is a process on this
 * host (pod-runner.ts). Pods of a StatefulSet that is gone go with it; nothing else is collected (garbage.ts).
 *
 * @module
 */
import { randomBytes, randomInt } from "node:crypto";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { ApiServer } from "./api-server.ts";
import { eventually } from "./eventually.ts";
import type { LoggedProcess, ProcessOptions } from "./logged-process.ts";
import { environmentOf, type PodObject, type PodPlace, PodRunner, transportCommand } from "./pod-runner.ts";
import { deletePod, playSet, type SetPodObject, type StatefulSet, unless } from "./stateful-sets.ts";

export interface ClusterOptions {
  readonly server: ApiServer;
  readonly namespace: string;
  /** The program of a pod; left out: `postroom transport`. */
  readonly command?: (place: PodPlace) => ProcessOptions;
  /** What the pods call, for a proxy; left out: the server itself. */
  readonly apiUrl?: string | undefined;
  /** Life of the pods' tokens; left out: an hour. */
  readonly tokenSeconds?: number | undefined;
}

export type RunningPod = PodRunner & { readonly process: LoggedProcess };

export interface PlayedCluster {
  /** undefined: there is no such pod, or its process was never started. */
  pod(name: string): RunningPod | undefined;
  pods(): readonly RunningPod[];
  /** Waits until the pod is Ready. */
  ready(name: string, timeoutMs?: number): Promise<RunningPod>;
  /** Pods deleted so far because their template changed. */
  readonly rolls: number;
  /** Why the last look at the cluster failed; undefined: it did not. */
  readonly fault: unknown;
  /** Kills the pods; their objects stay. */
  stop(): Promise<void>;
}

const LOOK_MS = 100;

export async function playCluster(options: ClusterOptions): Promise<PlayedCluster> {
  const cluster = new Cluster(options);
  await cluster.begin();
  return cluster;
}

class Cluster implements PlayedCluster {
  readonly #options: ClusterOptions;
  readonly #node = `node-${randomBytes(3).toString("hex")}`;
  /** 127.a.b: nobody else on this machine is likely to use it. */
  readonly #network = `127.${randomInt(1, 255)}.${randomInt(256)}`;
  /** By pod name: an address stays, as a volume does. */
  readonly #addresses = new Map<string, string>();
  /** By uid of the pod. */
  readonly #runners = new Map<string, PodRunner>();
  readonly #endings = new Map<string, Promise<void>>();
  #isStopping = false;
  #looking = Promise.resolve();
  rolls = 0;
  fault: unknown;

  constructor(options: ClusterOptions) {
    this.#options = options;
  }

  async begin(): Promise<void> {
    await this.#options.server.admin("POST", "/api/v1/nodes", { body: { metadata: { name: this.#node } } });
    this.#looking = this.#look();
  }

  pods(): RunningPod[] {
    return [...this.#runners.values()].filter(isRunning);
  }

  pod(name: string): RunningPod | undefined {
    return this.pods().find(({ place }) => place.name === name);
  }

  ready(name: string, timeoutMs = 150_000): Promise<RunningPod> {
    return eventually(() => {
      const pod = this.pod(name);
      if (pod?.isReady) return pod;
      const why = pod === undefined ? `there is no such pod (${this.fault})` : pod.process.tail();
      throw new Error(`${name} is not ready: ${pod?.fault ?? ""}\n${why}`);
    }, timeoutMs);
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#looking;
    await Promise.all([...this.#runners.values()].map((runner) => runner.end("SIGKILL", 0)));
  }

  async #look(): Promise<void> {
    while (!this.#isStopping) {
      // A test may stop the API server: what runs goes on, as in a cluster.
      this.fault = await this.#once().catch((fault: unknown) => fault);
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }

  async #once(): Promise<void> {
    const { server, namespace } = this.#options;
    const { admin } = server;
    const { items: sets } = await admin<{ items: StatefulSet[] }>(
      "GET",
      `/apis/apps/v1/namespaces/${namespace}/statefulsets`,
    );
    const { items: pods } = await admin<{ items: (PodObject & SetPodObject)[] }>(
      "GET",
      `/api/v1/namespaces/${namespace}/pods`,
    );
    const mine = pods.filter(({ spec }) => spec.nodeName === this.#node);
    for (const pod of mine) if (isOrphan(pod, sets)) await deletePod(admin, namespace, pod.metadata.name);
    await this.#runPods(mine);
    for (const set of sets) {
      const steps = await playSet(admin, set, { pods, node: this.#node });
      this.rolls += steps.filter(({ act }) => act === "roll").length;
    }
  }

  async #runPods(pods: readonly PodObject[]): Promise<void> {
    const present = new Map(pods.map((pod) => [pod.metadata.uid, pod]));
    for (const [uid, runner] of this.#runners) {
      const pod = present.get(uid);
      // Deleted by force: nobody waits for it.
      if (pod === undefined) this.#end(runner, "SIGKILL", 0);
      else if (pod.metadata.deletionTimestamp !== undefined) {
        this.#end(runner, "SIGTERM", (pod.metadata.deletionGracePeriodSeconds ?? 30) * 1000);
      }
    }
    for (const pod of pods) {
      const { uid, name, deletionTimestamp } = pod.metadata;
      const isTaken = [...this.#runners.values()].some(({ place }) => place.name === name);
      if (this.#runners.has(uid) || isTaken) continue;
      if (deletionTimestamp !== undefined) await this.#forget(pod);
      else this.#runners.set(uid, this.#start(pod));
    }
  }

  #start(pod: PodObject): PodRunner {
    const { server, command = transportCommand, tokenSeconds = 3600 } = this.#options;
    return new PodRunner({ server, pod, command, tokenSeconds, place: this.#placeOf(pod) });
  }

  #placeOf(pod: PodObject): PodPlace {
    const { server, namespace, apiUrl = server.url } = this.#options;
    const { name } = pod.metadata;
    const address = this.#addresses.get(name) ?? `${this.#network}.${this.#addresses.size + 1}`;
    this.#addresses.set(name, address);
    const folder = join(server.folder, "pods", namespace, name);
    mkdirSync(folder, { recursive: true });
    return {
      name,
      namespace,
      args: pod.spec.containers[0]?.args ?? [],
      env: environmentOf(pod),
      address,
      state: join(folder, "state"),
      tokenFile: join(folder, "token"),
      caFile: server.caFile,
      apiUrl,
    };
  }

  #end(runner: PodRunner, signal: "SIGTERM" | "SIGKILL", graceMs: number): void {
    const { uid } = runner.pod.metadata;
    if (this.#endings.has(uid)) {
      // Deleted by force while its grace runs.
      if (signal === "SIGKILL") void runner.process?.kill(signal);
      return;
    }
    const ending = runner
      .end(signal, graceMs)
      .then(() => this.#forget(runner.pod))
      .catch((fault: unknown) => {
        this.fault = fault;
      })
      .finally(() => {
        this.#endings.delete(uid);
        this.#runners.delete(uid);
      });
    this.#endings.set(uid, ending);
  }

  /** The node's last word: the object goes. */
  async #forget({ metadata: { name, namespace, uid } }: PodObject): Promise<void> {
    await this.#options.server
      .admin("DELETE", `/api/v1/namespaces/${namespace}/pods/${name}`, {
        body: { gracePeriodSeconds: 0, preconditions: { uid } },
      })
      .catch(unless("NotFound", "Conflict"));
  }
}

function isRunning(runner: PodRunner): runner is RunningPod {
  return runner.process !== undefined;
}

function isOrphan(
  { metadata: { ownerReferences = [], deletionTimestamp } }: SetPodObject,
  sets: readonly StatefulSet[],
): boolean {
  if (deletionTimestamp !== undefined) return false;
  return (
    ownerReferences.length > 0 &&
    !sets.some(({ metadata }) => ownerReferences.some(({ uid }) => uid === metadata.uid))
  );
}
