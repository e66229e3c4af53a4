/**
 * An HTTP server that answers as a test tells it, with the words of the Kubernetes API; for faults a real one never shows.
 *
 *   const kube = await startFakeKube((call) => call.status(503, "ServiceUnavailable"));
 *   const http = kube.client();
 *   kube.answer = (call) => call.json({ items: [] });
 *   await kube.stop();
 *
 * @module
 */
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import pino from "pino";
import { type Clock, systemClock } from "../../lib/clock.ts";
import { createKubeHttp, type KubeHttpOptions } from "../../lib/kube/http.ts";
import type { KubeAuth, KubeHttp, KubeObject } from "../../lib/kube/types.ts";

export interface FakeCall {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly response: ServerResponse;
  json(answer: unknown): void;
  status(
    code: number,
    reason: string,
    options?: { message?: string; headers?: Record<string, string> },
  ): void;
  list(items: readonly KubeObject[], metadata: { resourceVersion?: string; continue?: string }): void;
  event(type: string, object: unknown): void;
  /** Cuts the connection with a reset. */
  reset(): void;
}

export interface FakeKube {
  readonly auth: KubeAuth;
  readonly calls: readonly FakeCall[];
  readonly lists: number;
  readonly watches: readonly FakeCall[];
  /** Accepted so far. */
  readonly connections: number;
  /** Open now. */
  readonly open: number;
  answer: (call: FakeCall) => void;
  client(options?: Partial<KubeHttpOptions>): KubeHttp;
  stop(): Promise<void>;
}

export const silentLog = pino({ level: "silent" });

export async function startFakeKube(answer: FakeKube["answer"]): Promise<FakeKube> {
  const calls: FakeCall[] = [];
  const sockets = new Set<Socket>();
  const clients: KubeHttp[] = [];
  let connections = 0;
  const server = createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part);
    const { pathname: path, searchParams: query } = new URL(request.url ?? "", "http://server");
    const { method = "", headers } = request;
    const call = callOf({ method, path, query, headers, body: Buffer.concat(parts).toString() }, response);
    calls.push(call);
    kube.answer(call);
  });
  server.on("connection", (socket) => {
    connections++;
    sockets.add(socket);
    socket.on("error", () => {}).on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const isWatch = ({ query }: FakeCall) => query.get("watch") === "true";
  const kube: FakeKube = {
    answer,
    auth: {
      server: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      namespace: "mail",
      credentials: async () => ({ headers: { authorization: "Bearer token-of-the-test" } }),
    },
    calls,
    get lists() {
      return calls.filter((call) => !isWatch(call)).length;
    },
    get watches() {
      return calls.filter(isWatch);
    },
    get connections() {
      return connections;
    },
    get open() {
      return sockets.size;
    },
    client(options) {
      const given = {
        auth: kube.auth,
        clock: systemClock,
        log: silentLog,
        userAgent: "test",
        random: () => 0.5,
      };
      const client = createKubeHttp({ ...given, ...options });
      clients.push(client);
      return client;
    },
    stop() {
      for (const client of clients) client.close();
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
  return kube;
}

/** Rests shorter than 20 s pass at once and are recorded; longer ones, the deadlines, never end by themselves. */
export function hastyClock(rests: number[]): Clock {
  let now = 1_000_000;
  return {
    now: () => now,
    sleep(ms, signal) {
      if (signal?.aborted) return Promise.reject(signal.reason);
      if (ms < 20_000) {
        rests.push(ms);
        now += ms;
        return new Promise((resolve) => setImmediate(resolve));
      }
      return new Promise((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason)));
    },
  };
}

function callOf(
  call: Pick<FakeCall, "method" | "path" | "query" | "headers" | "body">,
  response: ServerResponse,
): FakeCall {
  const json = (answer: unknown) => {
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(answer));
  };
  return {
    ...call,
    response,
    json,
    status(code, reason, { message = "", headers = {} } = {}) {
      response.statusCode = code;
      for (const [field, value] of Object.entries(headers)) response.setHeader(field, value);
      json({ kind: "Status", status: "Failure", code, reason, message });
    },
    list: (items, metadata) => json({ items, metadata }),
    event: (type, object) => void response.write(`${JSON.stringify({ type, object })}\n`),
    reset: () => void response.socket?.resetAndDestroy(),
  };
}
