/** podAuth: the way of a pod to its API server, with the files that the kubelet mounts and rotates. */
import { readFileSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Clock } from "../clock.ts";
import type { KubeAuth } from "./types.ts";

export interface PodAuthOptions {
  readonly clock: Clock;
  /** Default: what KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT say. */
  readonly server?: string;
  /** Default of these: where the kubelet mounts them. */
  readonly tokenFile?: string;
  readonly caFile?: string;
  /** Default: "namespace" beside the token, as the kubelet mounts it. */
  readonly namespaceFile?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

const FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount";
/** The kubelet writes a new token long before the old one ends. */
const LOOK_AGAIN_MS = 10_000;

/** Throws when this is no pod. */
export function podAuth({ clock, server, env = process.env, ...files }: PodAuthOptions): KubeAuth {
  const tokenFile = files.tokenFile ?? `${FOLDER}/token`;
  const namespaceFile = files.namespaceFile ?? join(dirname(tokenFile), "namespace");
  const token = new RotatedFile(tokenFile, clock);
  const ca = new RotatedFile(files.caFile ?? `${FOLDER}/ca.crt`, clock);
  return {
    server: server ?? serverOf(env),
    namespace: readFileSync(namespaceFile, "utf8").trim(),
    async credentials() {
      const headers = { authorization: `Bearer ${await token.text()}` };
      return { ca: await ca.text(), headers };
    },
    refused() {
      token.forget();
      ca.forget();
    },
  };
}

/** A file that is read again when its time of change differs; looked at every 10 seconds at most. */
class RotatedFile {
  readonly #path: string;
  readonly #clock: Clock;
  #lookedAt: number | undefined;
  #mtimeMs = Number.NaN;
  #text = "";

  constructor(path: string, clock: Clock) {
    this.#path = path;
    this.#clock = clock;
  }

  async text(): Promise<string> {
    const now = this.#clock.now();
    if (this.#lookedAt !== undefined && Math.abs(now - this.#lookedAt) < LOOK_AGAIN_MS) return this.#text;
    const { mtimeMs } = await stat(this.#path);
    if (mtimeMs !== this.#mtimeMs) {
      const text = (await readFile(this.#path, "utf8")).trim();
      if (text === "") throw new Error(`Cannot use "${this.#path}": it is empty`);
      this.#text = text;
      this.#mtimeMs = mtimeMs;
    }
    this.#lookedAt = now;
    return this.#text;
  }

  forget(): void {
    this.#lookedAt = undefined;
    this.#mtimeMs = Number.NaN;
  }
}

function serverOf({
  KUBERNETES_SERVICE_HOST: host,
  KUBERNETES_SERVICE_PORT: port,
}: NodeJS.ProcessEnv): string {
  if (host === undefined || host === "" || port === undefined || port === "") {
    throw new Error(
      "Cannot find the API server: KUBERNETES_SERVICE_HOST or KUBERNETES_SERVICE_PORT is not set; is this a pod?",
    );
  }
  return `https://${host.includes(":") ? `[${host}]` : host}:${port}`;
}
