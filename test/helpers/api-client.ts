/**
 * The tests' own hand on an API server: one call, one JSON answer, any answer but 2xx is an ApiFault.
 *
 * Independent of lib/kube, so that a fault there does not hide behind itself.
 *
 * @module
 */
import { Agent, request } from "node:https";
import type { KubeAuth } from "../../lib/kube/types.ts";

export interface ApiCall {
  /** A string goes as it is (YAML for an apply patch), anything else as JSON. */
  readonly body?: unknown;
  /** Left out: application/json, for a PATCH application/merge-patch+json. */
  readonly contentType?: string;
}

/** Answer is what the caller expects; nobody checks it. */
// biome-ignore lint/suspicious/noExplicitAny: tests look into objects of every kind.
export type Admin = <Answer = any>(method: string, path: string, call?: ApiCall) => Promise<Answer>;

/** An answer of the API server that says no. */
export class ApiFault extends Error {
  readonly status: number;
  /** As the Status object has it: NotFound, AlreadyExists, Invalid ... */
  readonly reason: string;

  constructor(call: string, status: number, { reason, message }: { reason: string; message: string }) {
    super(`${call}: ${status} ${message}`);
    this.status = status;
    this.reason = reason;
  }
}

export interface ApiClient {
  readonly call: Admin;
  close(): void;
}

export function apiClient(auth: KubeAuth): ApiClient {
  const agent = new Agent({ keepAlive: true });
  const call = async <Answer>(method: string, path: string, wanted: ApiCall = {}): Promise<Answer> => {
    const { body, contentType } = wanted;
    const { headers, ca, cert, key } = await auth.credentials();
    const content = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
    const type = contentType ?? (method === "PATCH" ? "application/merge-patch+json" : "application/json");
    const { status, text } = await send(content, `${auth.server}${path}`, {
      method,
      agent,
      ca,
      cert,
      key,
      headers: { ...headers, ...(content === undefined ? {} : contentHeaders(content, type)) },
      timeout: 30_000,
    });
    const answer = parsed(text);
    if (status < 200 || status > 299) throw new ApiFault(`${method} ${path}`, status, faultIn(answer));
    return answer as Answer;
  };
  return { call, close: () => agent.destroy() };
}

/** Node names no length of its own for the body of a DELETE. */
function contentHeaders(content: string, type: string): Record<string, string> {
  return { "content-type": type, "content-length": String(Buffer.byteLength(content)) };
}

function send(
  content: string | undefined,
  url: string,
  options: Parameters<typeof request>[1],
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const outgoing = request(url, options, (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
      incoming.once("error", reject);
      incoming.once("end", () =>
        resolve({ status: incoming.statusCode ?? 0, text: Buffer.concat(chunks).toString() }),
      );
    });
    outgoing.once("timeout", () => outgoing.destroy(new Error(`No answer from ${url}`)));
    outgoing.once("error", reject);
    outgoing.end(content);
  });
}

/** /readyz and its like answer with plain text. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function faultIn(answer: unknown): { reason: string; message: string } {
  if (typeof answer === "string") return { reason: "", message: answer.trim() };
  const { reason = "", message = "" } = answer as { reason?: string; message?: string };
  return { reason, message };
}
