/**
 * A proxy before the API server that can fail in every way a network or a server does, and counts what passes.
 *
 *   const proxy = await startFaultProxy(server);
 *   createKubeHttp({ auth: proxy.auth(server.adminAuth), ... });
 *   const rule = proxy.answer({ status: 429, retryAfter: 1, share: 0.3 }); ... rule.end();
 *   await proxy.line.set({ kind: "stall" });      // faulty-line.ts: everything below HTTP
 *   proxy.traffic(/^patch /);                     // requests and octets of what matches
 *
 * It ends TLS with the server's own certificate. Client certificates do not pass; tokens do.
 *
 * @module
 */
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { Agent, createServer, request } from "node:https";
import type { AddressInfo } from "node:net";
import type { KubeAuth } from "../../lib/kube/types.ts";
import type { ApiServer } from "./api-server.ts";
import { type FaultyLine, openFaultyLine } from "./faulty-line.ts";
import { type KubeRequest, readKubeRequest } from "./kube-request.ts";

export interface FaultRule {
  readonly status: 410 | 429 | 500 | 503;
  /** Seconds, as the header. */
  readonly retryAfter?: number;
  /** Which requests; left out: all. */
  readonly when?: (request: KubeRequest) => boolean;
  /** Of those the share that fails, spread evenly; left out: all. */
  readonly share?: number;
}

export interface RuleInForce {
  /** Faults it gave so far. */
  readonly given: number;
  end(): void;
}

export interface Traffic {
  readonly requests: number;
  /** Octets of bodies, as they lie on the line. */
  readonly requestOctets: number;
  readonly answerOctets: number;
}

export interface FaultProxy {
  readonly url: string;
  readonly line: FaultyLine;
  /** The same credentials by way of the proxy. */
  auth(direct: KubeAuth): KubeAuth;
  /** The newest rule that fits a request decides. */
  answer(rule: FaultRule): RuleInForce;
  /** What matches "verb resource", as in "patch transportrules/status"; left out: everything. */
  traffic(pattern?: RegExp): Traffic;
  /** Every "verb resource" with its number of requests. */
  requests(): Readonly<Record<string, number>>;
  forgetTraffic(): void;
  stop(): Promise<void>;
}

interface Rule extends FaultRule {
  given: number;
  due: number;
}

export async function startFaultProxy(server: ApiServer): Promise<FaultProxy> {
  const rules: Rule[] = [];
  const counters = new Map<string, { -readonly [field in keyof Traffic]: number }>();
  const agent = new Agent({ keepAlive: true, ca: server.ca });
  const counterOf = ({ verb, resource }: KubeRequest) => {
    const key = `${verb} ${resource}`;
    const counter = counters.get(key) ?? { requests: 0, requestOctets: 0, answerOctets: 0 };
    counters.set(key, counter);
    return counter;
  };
  const { cert, key } = server.certificate;
  const http = createServer({ cert, key, keepAliveTimeout: 0, requestTimeout: 0 }, (incoming, outgoing) => {
    const kind = readKubeRequest(incoming.method ?? "", incoming.url ?? "");
    const counter = counterOf(kind);
    counter.requests += 1;
    incoming.on("data", (chunk: Buffer) => {
      counter.requestOctets += chunk.length;
    });
    const rule = faultFor(kind, rules);
    if (rule !== undefined) return giveFault(outgoing, kind, rule);
    forward(incoming, outgoing, { server, agent }, (octets) => {
      counter.answerOctets += octets;
    });
  });
  http.listen(0, server.host);
  await once(http, "listening");
  const line = await openFaultyLine({ host: server.host, port: (http.address() as AddressInfo).port });
  const url = `https://${server.host}:${line.port}`;

  return {
    url,
    line,
    auth: (direct) => ({ ...direct, server: url, credentials: () => direct.credentials() }),
    answer(wanted) {
      const rule: Rule = { ...wanted, given: 0, due: 0 };
      rules.unshift(rule);
      return {
        get given() {
          return rule.given;
        },
        end() {
          if (rules.includes(rule)) rules.splice(rules.indexOf(rule), 1);
        },
      };
    },
    traffic(pattern = /./) {
      const sum = { requests: 0, requestOctets: 0, answerOctets: 0 };
      for (const [key, counter] of counters) {
        if (!pattern.test(key)) continue;
        sum.requests += counter.requests;
        sum.requestOctets += counter.requestOctets;
        sum.answerOctets += counter.answerOctets;
      }
      return sum;
    },
    requests: () => Object.fromEntries([...counters].map(([key, { requests }]) => [key, requests])),
    forgetTraffic: () => counters.clear(),
    async stop() {
      await line.close();
      http.closeAllConnections();
      http.close();
      agent.destroy();
    },
  };
}

function faultFor(kind: KubeRequest, rules: readonly Rule[]): Rule | undefined {
  const rule = rules.find(({ when }) => when?.(kind) ?? true);
  if (rule === undefined) return undefined;
  rule.due += rule.share ?? 1;
  if (rule.due < 1) return undefined;
  rule.due -= 1;
  rule.given += 1;
  return rule;
}

const REASONS = {
  410: "Expired",
  429: "TooManyRequests",
  500: "InternalError",
  503: "ServiceUnavailable",
} as const;

function giveFault(outgoing: ServerResponse, { verb }: KubeRequest, { status, retryAfter }: Rule): void {
  const fault = {
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Failure",
    message: "The fault proxy said no",
    reason: REASONS[status],
    code: status,
  };
  const headers = {
    "content-type": "application/json",
    ...(retryAfter === undefined ? {} : { "retry-after": String(retryAfter) }),
  };
  // A server says so within the stream: the watch itself is a 200.
  const isEvent = verb === "watch" && status === 410;
  outgoing.writeHead(isEvent ? 200 : status, headers);
  outgoing.end(`${JSON.stringify(isEvent ? { type: "ERROR", object: fault } : fault)}\n`);
}

function forward(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  { server, agent }: { server: ApiServer; agent: Agent },
  count: (octets: number) => void,
): void {
  const { connection: _, ...headers } = incoming.headers;
  const upstream = request(`${server.url}${incoming.url}`, { method: incoming.method, headers, agent });
  // The peer of a server that is gone sees its connection go.
  const fail = () => outgoing.socket?.destroy();
  upstream.once("error", fail);
  upstream.once("response", (answer) => {
    const { connection: _, "keep-alive": __, ...answered } = answer.headers;
    outgoing.writeHead(answer.statusCode ?? 502, answered);
    outgoing.flushHeaders();
    answer.on("data", (chunk: Buffer) => count(chunk.length));
    answer.once("error", fail);
    answer.pipe(outgoing);
  });
  outgoing.once("close", () => upstream.destroy());
  incoming.pipe(upstream);
}
