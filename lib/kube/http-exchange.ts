/**
 * HttpExchange: one HTTP request, from credentials to the headers of the answer, on kept-alive connections.
 *
 * Calls and watches have an Agent each, so that watches never take the calls' sockets. Credentials are asked for each
 * request; Node keeps sockets apart by their TLS material, so a rotated certificate or CA makes new connections and the
 * old ones idle out. A kept-alive socket that the server closed in the meantime is no failure of the call.
 *
 * @module
 */
import * as http from "node:http";
import * as https from "node:https";
import { KubeError, type KubeFailureCode } from "./errors.ts";
import type { KubeAuth, KubeCall, KubeCredentials } from "./types.ts";

export interface ExchangeCall {
  readonly verb: string;
  /** Without the query: what an error names. */
  readonly path: string;
  readonly method: KubeCall["method"];
  readonly query?: KubeCall["query"];
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
  readonly signal: AbortSignal;
  readonly lane: "calls" | "watches";
  /** A reset on a reused socket is answered by a fresh one. */
  readonly repeatable: boolean;
}

/** The API server closes idle connections after 90 s; we are first, so that a request seldom meets a closing one. */
const IDLE_MS = 30_000;
const MAX_CALL_SOCKETS = 16;
const KEEP_ALIVE_PROBE_MS = 15_000;

export class HttpExchange {
  readonly #auth: KubeAuth;
  readonly #base: URL;
  readonly #userAgent: string;
  readonly #agents: Readonly<Record<ExchangeCall["lane"], http.Agent>>;
  #closed = false;

  constructor(auth: KubeAuth, userAgent: string) {
    this.#auth = auth;
    this.#base = new URL(auth.server);
    this.#userAgent = userAgent;
    const Agent = this.#base.protocol === "http:" ? http.Agent : https.Agent;
    const common = { keepAlive: true, keepAliveMsecs: KEEP_ALIVE_PROBE_MS, timeout: IDLE_MS };
    this.#agents = {
      calls: new Agent({ ...common, maxSockets: MAX_CALL_SOCKETS }),
      watches: new Agent(common),
    };
  }

  /** Resolves with the answer whose body is still to be read, whatever its status. Rejects with KubeError. */
  async send(call: ExchangeCall): Promise<http.IncomingMessage> {
    if (this.#closed) throw failureOf(call, "aborted", new Error("the client is closed"));
    const credentials = await unlessAborted(this.#auth.credentials(), call.signal).catch((error) => {
      throw failureOf(call, "credentials", error);
    });
    const first = await this.#attempt(call, credentials);
    if (first.response !== undefined) return first.response;
    if (first.reused && call.repeatable && !call.signal.aborted) {
      this.dropIdle();
      const second = await this.#attempt(call, credentials);
      if (second.response !== undefined) return second.response;
      throw failureOf(call, codeOf(second.error), second.error);
    }
    throw failureOf(call, codeOf(first.error), first.error);
  }

  /** The connections may lead nowhere: none of the idle ones is used again. */
  dropIdle(): void {
    for (const agent of Object.values(this.#agents)) {
      for (const socket of Object.values(agent.freeSockets).flat()) socket?.destroy();
    }
  }

  /** Cuts every connection; later calls fail. */
  close(): void {
    this.#closed = true;
    for (const agent of Object.values(this.#agents)) agent.destroy();
  }

  #attempt(call: ExchangeCall, credentials: KubeCredentials): Promise<Attempt> {
    return new Promise((resolve) => {
      const request = this.#open(call, credentials);
      request.on("response", (response) => resolve({ response }));
      // Stays after the answer began: a reset is an event of both.
      request.on("error", (error) => resolve({ response: undefined, error, reused: request.reusedSocket }));
      request.end(call.body);
    });
  }

  #open(call: ExchangeCall, { headers, ...tls }: KubeCredentials): http.ClientRequest {
    const { protocol, hostname, port, pathname } = this.#base;
    const options = {
      method: call.method,
      hostname: hostname.replace(/^\[|\]$/g, ""),
      port: port === "" ? undefined : Number(port),
      path: `${pathname.replace(/\/$/, "")}${call.path}${queryText(call.query)}`,
      headers: { ...call.headers, ...headers, "user-agent": this.#userAgent },
      agent: this.#agents[call.lane],
      signal: call.signal,
    };
    return protocol === "http:" ? http.request(options) : https.request({ ...options, ...given(tls) });
  }
}

/** The KubeError of a call without an answer. */
export function failureOf(
  { verb, path }: Pick<ExchangeCall, "verb" | "path">,
  code: KubeFailureCode,
  cause: unknown,
): KubeError {
  const words = cause instanceof Error ? cause.message : String(cause);
  return new KubeError({ verb, path, status: 0, reason: REASON[code], words, code }, { cause });
}

type Attempt =
  | { readonly response: http.IncomingMessage }
  | { readonly response: undefined; readonly error: Error; readonly reused: boolean };

const REASON: Readonly<Record<KubeFailureCode, string>> = {
  network: "ConnectionFailed",
  tls: "NotTrusted",
  timeout: "Timeout",
  aborted: "Aborted",
  credentials: "NoCredentials",
  "too-large": "AnswerTooLarge",
  malformed: "NotJSON",
};

function codeOf(error: Error): KubeFailureCode {
  const code = "code" in error ? String(error.code) : "";
  const isTls = /^(CERT_|ERR_TLS|ERR_SSL|ERR_OSSL|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|HOSTNAME_|EPROTO)/.test(
    code,
  );
  return isTls ? "tls" : "network";
}

function unlessAborted<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}

function queryText(query: KubeCall["query"] = {}): string {
  const entries = Object.entries(query).flatMap(([key, value]) =>
    value === undefined ? [] : [[key, String(value)] as [string, string]],
  );
  return entries.length === 0 ? "" : `?${new URLSearchParams(entries)}`;
}

/** Node takes an undefined `ca` for one. */
function given<Options extends object>(options: Options): Options {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Options;
}
