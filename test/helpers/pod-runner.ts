/**
 * The kubelet's part for one Pod object: its program as a process on this host, with a token bound to the pod and a
 * loopback address of its own, started again when it dies; /readyz becomes the Ready condition.
 *
 * @module
 */
import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { ApiServer } from "./api-server.ts";
import { type LoggedProcess, type ProcessOptions, startLogged } from "./logged-process.ts";

/** What the program of a pod is told. */
export interface PodPlace {
  readonly name: string;
  readonly namespace: string;
  /** Of its container, as the template has them. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Loopback; each pod has its own, so that all bind the same ports. */
  readonly address: string;
  /** Kept by name, as a volume is. */
  readonly state: string;
  readonly tokenFile: string;
  readonly caFile: string;
  readonly apiUrl: string;
}

export interface PodObject {
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly deletionTimestamp?: string;
    readonly deletionGracePeriodSeconds?: number;
  };
  readonly spec: {
    readonly serviceAccountName?: string;
    readonly nodeName?: string;
    readonly containers: readonly { readonly args?: readonly string[]; readonly env?: readonly EnvVar[] }[];
  };
}

interface EnvVar {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: { readonly fieldRef?: { readonly fieldPath: string } };
}

export interface RunnerOptions {
  readonly server: ApiServer;
  readonly pod: PodObject;
  readonly place: PodPlace;
  /** The program of a pod; called at each start of its process. */
  readonly command: (place: PodPlace) => ProcessOptions;
  readonly tokenSeconds: number;
}

/** Where a pod serves /readyz. */
export const HTTP_PORT = 9525;
const PROBE_MS = 100;
const PROBE_TIMEOUT_MS = 10_000;
/** Between two starts of a process that dies. */
const FIRST_BACK_OFF_MS = 200;
const LONGEST_BACK_OFF_MS = 10_000;

/** The image's program, with the arguments and variables of the template and what differs on this host. */
export function transportCommand(place: PodPlace): ProcessOptions {
  const { address, state, tokenFile, caFile, apiUrl, args, env } = place;
  const flags = {
    "api-server": apiUrl,
    "token-file": tokenFile,
    "ca-file": caFile,
    state,
    http: `${address}:${HTTP_PORT}`,
    "listen-address": address,
    "log-format": "json",
  };
  const main = join(import.meta.dirname, "../../bin/postroom.js");
  return {
    args: [main, ...args, ...Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, value])],
    env,
  };
}

/** Variables of the pod's first container, the downward API's among them. */
export function environmentOf({ metadata, spec }: PodObject): Record<string, string> {
  const fields: Readonly<Record<string, string>> = {
    "metadata.name": metadata.name,
    "metadata.namespace": metadata.namespace,
    "metadata.uid": metadata.uid,
  };
  const variables = spec.containers[0]?.env ?? [];
  return Object.fromEntries(
    variables.map(({ name, value, valueFrom }) => {
      const path = valueFrom?.fieldRef?.fieldPath;
      if (path === undefined) return [name, value ?? ""];
      const field = fields[path];
      if (field === undefined) throw new Error(`Cannot play the variable "${name}": field "${path}"`);
      return [name, field];
    }),
  );
}

export class PodRunner {
  readonly pod: PodObject;
  readonly place: PodPlace;
  /** Starts of its process after the first. */
  restarts = -1;
  process: LoggedProcess | undefined;
  /** Why the last step failed; undefined: it did not. */
  fault: unknown;
  readonly #options: RunnerOptions;
  readonly #ended = Promise.withResolvers<void>();
  #isEnding = false;
  #written = "";
  #renewAt = 0;
  #startAt = 0;
  #isReady = false;

  constructor(options: RunnerOptions) {
    this.#options = options;
    this.pod = options.pod;
    this.place = options.place;
    mkdirSync(this.place.state, { recursive: true });
    writeFileSync(join(dirname(this.place.tokenFile), "namespace"), this.place.namespace);
    void this.#run();
  }

  /** As the Ready condition was last written. */
  get isReady(): boolean {
    return this.#isReady;
  }

  /** A fresh token in its file, as the kubelet does it at 80 % of a token's life. */
  async renewToken(): Promise<void> {
    const { server, pod, place, tokenSeconds } = this.#options;
    const { namespace, name, uid } = pod.metadata;
    const token = await server.tokenFor({
      namespace,
      serviceAccount: pod.spec.serviceAccountName ?? "default",
      pod: { name, uid },
      expirationSeconds: tokenSeconds,
    });
    writeFileSync(`${place.tokenFile}.new`, token, { mode: 0o600 });
    renameSync(`${place.tokenFile}.new`, place.tokenFile);
    this.#renewAt = performance.now() + tokenSeconds * 800;
  }

  /** Ends the process for good; resolves when it is gone. */
  async end(signal: "SIGTERM" | "SIGKILL", graceMs: number): Promise<void> {
    this.#isEnding = true;
    await this.process?.kill(signal, graceMs);
    await this.#ended.promise;
  }

  async #run(): Promise<void> {
    while (!this.#isEnding) {
      // The API server may be away, or the service account not there yet: the kubelet tries again too.
      this.fault = await this.#step().catch((fault: unknown) => fault);
      await new Promise((resolve) => setTimeout(resolve, PROBE_MS));
    }
    await this.process?.ended;
    this.#ended.resolve();
  }

  async #step(): Promise<void> {
    if (performance.now() >= this.#renewAt) await this.renewToken();
    if (this.#isEnding) return;
    if (this.process === undefined || this.process.hasEnded) this.#start();
    await this.#writeStatus(await isReady(this.place.address));
  }

  #start(): void {
    const now = performance.now();
    if (now < this.#startAt) return;
    this.restarts += 1;
    this.#startAt = now + Math.min(FIRST_BACK_OFF_MS * 2 ** this.restarts, LONGEST_BACK_OFF_MS);
    this.process = startLogged(this.#options.command(this.place));
  }

  async #writeStatus(ready: boolean): Promise<void> {
    const text = `${ready} ${this.restarts}`;
    if (text === this.#written) return;
    const { namespace, name } = this.pod.metadata;
    const status = podStatus(this.place.address, ready, this.restarts);
    await this.#options.server.admin("PATCH", `/api/v1/namespaces/${namespace}/pods/${name}/status`, {
      body: { metadata: { uid: this.pod.metadata.uid }, status },
    });
    this.#written = text;
    this.#isReady = ready;
  }
}

async function isReady(address: string): Promise<boolean> {
  try {
    const url = `http://${address}:${HTTP_PORT}/readyz`;
    return (await fetch(url, { signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) })).ok;
  } catch {
    return false;
  }
}

function podStatus(address: string, ready: boolean, restartCount: number): unknown {
  const now = new Date().toISOString().replace(/\.\d+Z$/, "Z");
  const status = ready ? "True" : "False";
  return {
    phase: "Running",
    podIP: address,
    podIPs: [{ ip: address }],
    conditions: ["PodScheduled", "Initialized", "ContainersReady", "Ready"].map((type) => ({
      type,
      status: type.endsWith("Ready") ? status : "True",
      lastTransitionTime: now,
    })),
    containerStatuses: [
      {
        name: "transport",
        image: "on-this-host",
        imageID: "",
        ready,
        restartCount,
        state: { running: { startedAt: now } },
      },
    ],
  };
}
