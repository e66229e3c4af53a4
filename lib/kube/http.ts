/**
 * createKubeHttp: calls and watches of the Kubernetes API over HTTP/1.1.
 *
 * A call settles within its timeoutMs, repetitions included: 429 and 5xx with the server's Retry-After, broken
 * connections at once or with a jittered backoff, five tries at most; one 401 makes the credentials be read anew.
 * Writes ask for strict validation: a field that the server does not know is a fault, not a loss.
 *
 * @module
 */
import type { IncomingMessage } from "node:http";
import type { Clock } from "../clock.ts";
import type { Logger } from "../log.ts";
import { errorOfStatus, KubeError } from "./errors.ts";
import { readAnswer, TooLargeError } from "./http-answer.ts";
import { Deadline } from "./http-deadline.ts";
import { type ExchangeCall, failureOf, HttpExchange } from "./http-exchange.ts";
import { mayBeRepeated, retryDelayMs } from "./http-retry.ts";
import { resourceOfPath } from "./paths.ts";
import type { KubeAuth, KubeCall, KubeHttp } from "./types.ts";
import { watchEvents } from "./watch.ts";

export interface KubeHttpOptions {
  readonly auth: KubeAuth;
  readonly clock: Clock;
  readonly log: Logger;
  /** "postroom-operator/0.1.0". */
  readonly userAgent: string;
  /** Told of every try: GET, "transportrules/status", "200" or why there was no answer. */
  readonly count?: (verb: string, resource: string, code: string) => void;
  /** Dice in [0, 1); default Math.random. */
  readonly random?: () => number;
  /** Longest answer that is taken, unzipped; default 64 MiB. */
  readonly maxAnswerBytes?: number;
}

const DEFAULT_TIMEOUT_MS = 30_000;
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;
const MAX_FAULT_BYTES = 1024 * 1024;
const WRITES = ["POST", "PUT", "PATCH"];

export function createKubeHttp(options: KubeHttpOptions): KubeHttp {
  return new Client(options);
}

class Client implements KubeHttp {
  readonly #options: KubeHttpOptions;
  readonly #exchange: HttpExchange;
  readonly #random: () => number;
  readonly #maxAnswerBytes: number;

  constructor(options: KubeHttpOptions) {
    this.#options = options;
    this.#exchange = new HttpExchange(options.auth, options.userAgent);
    this.#random = options.random ?? Math.random;
    this.#maxAnswerBytes = options.maxAnswerBytes ?? MAX_ANSWER_BYTES;
  }

  async request<Answer>(call: KubeCall): Promise<Answer> {
    const { clock } = this.#options;
    const exchange = exchangeOf(call);
    const ms = call.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    const end = clock.now() + ms;
    const deadline = new Deadline({ clock, ms, outer: call.signal });
    try {
      for (let tries = 1; ; tries++) {
        const outcome = await this.#try<Answer>(exchange, deadline);
        if (!(outcome instanceof KubeError)) return outcome.answer;
        const waitMs = retryDelayMs(call, outcome, { tries, random: this.#random });
        if (waitMs === undefined || clock.now() + waitMs >= end) throw outcome;
        const { status, reason } = outcome;
        this.#options.log.debug(
          { verb: call.method, path: call.path, status, reason, waitMs },
          "call is repeated",
        );
        await clock.sleep(waitMs, deadline.signal).catch(() => {
          throw deadline.cause === "aborted" ? cutShort(exchange, deadline) : outcome;
        });
      }
    } finally {
      deadline.end();
    }
  }

  watch(call: Parameters<KubeHttp["watch"]>[0]): ReturnType<KubeHttp["watch"]> {
    const exchange: Omit<ExchangeCall, "signal"> = {
      verb: "WATCH",
      path: call.path,
      method: "GET",
      query: { ...call.query, watch: true },
      headers: { accept: "application/json" },
      lane: "watches",
      repeatable: true,
    };
    return watchEvents(call, (signal) => this.#accepted({ ...exchange, signal }), this.#options.clock);
  }

  close(): void {
    this.#exchange.close();
  }

  /** One try; what failed is returned, not thrown. */
  async #try<Answer>(
    call: Omit<ExchangeCall, "signal">,
    deadline: Deadline,
  ): Promise<{ readonly answer: Answer } | KubeError> {
    try {
      const response = await this.#accepted({ ...call, signal: deadline.signal });
      return { answer: await this.#answer<Answer>(call, response) };
    } catch (error) {
      if (deadline.cause === "timeout") this.#exchange.dropIdle();
      if (deadline.cause !== undefined) return cutShort(call, deadline);
      if (error instanceof KubeError) return error;
      return failureOf(call, error instanceof TooLargeError ? "too-large" : "network", error);
    }
  }

  /** An answer 2xx, its body unread; any other is thrown as KubeError. */
  async #accepted(call: ExchangeCall): Promise<IncomingMessage> {
    const response = await this.#counted(call);
    if (isSuccess(response)) return response;
    const refusal = await refusalOf(call, response);
    if (refusal.status !== 401 || this.#options.auth.refused === undefined) throw refusal;
    this.#options.auth.refused();
    // What was refused was not taken, so any method may come again.
    const second = await this.#counted(call);
    if (isSuccess(second)) return second;
    throw await refusalOf(call, second);
  }

  async #counted(call: ExchangeCall): Promise<IncomingMessage> {
    const count = (code: string) => this.#options.count?.(call.verb, resourceOfPath(call.path), code);
    try {
      const response = await this.#exchange.send(call);
      count(String(response.statusCode));
      return response;
    } catch (error) {
      count((error instanceof KubeError && error.code) || "network");
      throw error;
    }
  }

  async #answer<Answer>(call: Named, response: IncomingMessage): Promise<Answer> {
    const answer = parsed(await readAnswer(response, this.#maxAnswerBytes));
    if (answer !== undefined) return answer as Answer;
    throw failureOf(call, "malformed", new Error(`the answer ${response.statusCode} is no JSON`));
  }
}

type Named = Pick<ExchangeCall, "verb" | "path">;

function exchangeOf(call: KubeCall): Omit<ExchangeCall, "signal"> {
  const { method, path, query, body, contentType } = call;
  if (method === "PATCH" && contentType === undefined)
    throw new TypeError("A patch must name its content type");
  const type = body === undefined ? undefined : (contentType ?? "application/json");
  const text = body === undefined ? undefined : JSON.stringify(body);
  return {
    verb: method,
    path,
    method,
    query: WRITES.includes(method) ? { fieldValidation: "Strict", ...query } : query,
    headers: {
      accept: "application/json",
      "accept-encoding": "gzip",
      ...(type === undefined ? {} : { "content-type": type }),
      ...(text === undefined ? {} : { "content-length": String(Buffer.byteLength(text)) }),
    },
    body: text,
    lane: "calls",
    repeatable: mayBeRepeated(call),
  };
}

function isSuccess({ statusCode: status = 0 }: IncomingMessage): boolean {
  return status >= 200 && status < 300;
}

async function refusalOf({ verb, path }: Named, response: IncomingMessage): Promise<KubeError> {
  const body = await readAnswer(response, MAX_FAULT_BYTES).catch(() => undefined);
  const answer = { status: response.statusCode ?? 0, retryAfterMs: retryAfterMs(response) };
  return errorOfStatus({ verb, path }, body && parsed(body), answer);
}

function cutShort(call: Named, { cause }: Deadline): KubeError {
  if (cause === "aborted") return failureOf(call, "aborted", new Error("the caller gave up"));
  return failureOf(call, "timeout", new Error("no answer in time"));
}

function parsed(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString("utf8"));
  } catch {
    // The parser's words would quote the body.
    return undefined;
  }
}

/** RFC 9110 §10.2.3, in seconds: the API server never writes a date. */
function retryAfterMs({ headers }: IncomingMessage): number | undefined {
  const seconds = Number(headers["retry-after"] ?? Number.NaN);
  return Number.isFinite(seconds) && seconds >= 0 ? seconds * 1000 : undefined;
}
