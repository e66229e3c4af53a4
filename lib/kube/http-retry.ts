/** Whether a call that failed is made once more, and when. Pure but for the dice that it is handed. */
import { isRetriable, type KubeError } from "./errors.ts";
import type { KubeCall } from "./types.ts";

export const MAX_TRIES = 5;
const FIRST_MS = 100;
const FACTOR = 3;
const MAX_MS = 10_000;
/** Failures before anything was sent. */
const BEFORE_SENDING = ["connect", "getaddrinfo"];

/** Milliseconds to wait after try number `tries`; undefined: the failure stands. */
export function retryDelayMs(
  call: Pick<KubeCall, "method" | "contentType" | "retry">,
  failure: KubeError,
  { tries, random }: { readonly tries: number; readonly random: () => number },
): number | undefined {
  if (call.retry === false || tries >= MAX_TRIES || !isRetriable(failure)) return undefined;
  // So the API server answers an apply that names an unknown field, however often.
  if (call.method === "PATCH" && failure.status === 500) return undefined;
  if (!surelyNotTaken(failure) && !mayBeRepeated(call)) return undefined;
  const backoffMs = Math.min(MAX_MS, FIRST_MS * FACTOR ** (tries - 1)) * (0.5 + random());
  return Math.round((failure.retryAfterMs ?? 0) + backoffMs);
}

/** Twice is once: what is written stands whole in the call. */
export function mayBeRepeated({
  method,
  contentType,
  retry,
}: Pick<KubeCall, "method" | "contentType" | "retry">) {
  if (retry !== undefined) return retry;
  if (method === "PATCH") return contentType?.startsWith("application/apply-patch") === true;
  return method !== "POST";
}

function surelyNotTaken({ status, code, cause }: KubeError): boolean {
  if (code === "credentials") return true;
  if (code === undefined) return status === 429;
  const syscall = cause instanceof Error && "syscall" in cause ? cause.syscall : undefined;
  return code === "network" && BEFORE_SENDING.includes(String(syscall));
}
