/**
 * KubeError: a call of the Kubernetes API that failed, with what the server said of it, and the questions callers ask of it.
 * The message names verb, path, status, reason and the server's words; never a token or a body.
 *
 * @module
 */

/**
 * Why there was no answer, or none that can be used: the connection failed; it was not trusted; time ran out; the
 * caller gave up; the credentials could not be had; the answer is longer than we take; the answer is no JSON.
 */
export type KubeFailureCode =
  | "network"
  | "tls"
  | "timeout"
  | "aborted"
  | "credentials"
  | "too-large"
  | "malformed";

export interface KubeErrorCause {
  /** Path of the field, as the server writes it; "" when it names none. */
  readonly field: string;
  readonly message: string;
  /** FieldValueInvalid, NamespaceTerminating ...; "" when it names none. */
  readonly reason: string;
}

export interface KubeFailure {
  /** GET, POST ... or WATCH. */
  readonly verb: string;
  readonly path: string;
  /** HTTP status, or the code of an ERROR event; 0: no answer. */
  readonly status: number;
  /** The server's: NotFound, Conflict, AlreadyExists, Expired, Invalid ... */
  readonly reason: string;
  /** What the server, or the system, said of it. */
  readonly words: string;
  readonly causes?: readonly KubeErrorCause[] | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly code?: KubeFailureCode | undefined;
}

const MAX_WORDS = 2000;

export class KubeError extends Error {
  override readonly name = "KubeError";
  readonly verb: string;
  readonly path: string;
  /** 0: no answer. */
  readonly status: number;
  readonly reason: string;
  readonly causes: readonly KubeErrorCause[];
  /** How long the server wants to be left alone. */
  readonly retryAfterMs: number | undefined;
  /** undefined: the server refused. */
  readonly code: KubeFailureCode | undefined;

  constructor(failure: KubeFailure, options?: ErrorOptions) {
    const { verb, path, status, reason, words } = failure;
    const state = [status === 0 ? reason : `${status} ${reason}`, words.slice(0, MAX_WORDS)];
    super(`Cannot ${verb} "${path}": ${state.filter((part) => part !== "").join(": ")}`, options);
    this.verb = verb;
    this.path = path;
    this.status = status;
    this.reason = reason;
    this.causes = failure.causes ?? [];
    this.retryAfterMs = failure.retryAfterMs;
    this.code = failure.code;
  }
}

/** Nothing can be made any more where all is being deleted. */
export function isNamespaceTerminating(error: unknown): boolean {
  return error instanceof KubeError && error.causes.some(({ reason }) => reason === "NamespaceTerminating");
}

export function isNotFound(error: unknown): boolean {
  return error instanceof KubeError && error.status === 404;
}

/** Another writer was first: a stale resourceVersion, or a field that another manager owns. */
export function isConflict(error: unknown): boolean {
  return error instanceof KubeError && error.status === 409 && error.reason !== "AlreadyExists";
}

export function isAlreadyExists(error: unknown): boolean {
  return error instanceof KubeError && error.status === 409 && error.reason === "AlreadyExists";
}

/** The resourceVersion or the continue token is too old: list again. */
export function isGone(error: unknown): boolean {
  return error instanceof KubeError && (error.status === 410 || error.reason === "Expired");
}

export function isForbidden(error: unknown): boolean {
  return error instanceof KubeError && error.status === 403;
}

/** The caller's signal ended the call. */
export function isAborted(error: unknown): boolean {
  return error instanceof KubeError && error.code === "aborted";
}

/** The same call may succeed later: nobody answered, or the server is busy or ill. */
export function isRetriable(error: unknown): boolean {
  if (!(error instanceof KubeError)) return false;
  if (error.code !== undefined) return ["network", "timeout", "credentials"].includes(error.code);
  return error.status === 429 || (error.status >= 500 && error.status !== 501);
}

/** The KubeError of a Status object, which answers and ERROR events hold; anything else gives what the status alone says. */
export function errorOfStatus(
  call: { readonly verb: string; readonly path: string },
  body: unknown,
  answer: { readonly status: number; readonly retryAfterMs?: number | undefined },
): KubeError {
  const { message, reason, code, details } = isObject(body) && body.kind === "Status" ? body : {};
  const status = typeof code === "number" && code > 0 ? code : answer.status;
  const { causes, retryAfterSeconds } = isObject(details) ? details : {};
  const wait = typeof retryAfterSeconds === "number" ? retryAfterSeconds * 1000 : undefined;
  return new KubeError({
    ...call,
    status,
    reason: typeof reason === "string" && reason !== "" ? reason : reasonOf(status),
    words: typeof message === "string" ? message : "",
    causes: Array.isArray(causes) ? causes.filter(isObject).map(causeOf) : [],
    retryAfterMs: answer.retryAfterMs ?? wait,
  });
}

const REASONS: Readonly<Record<number, string>> = {
  400: "BadRequest",
  401: "Unauthorized",
  403: "Forbidden",
  404: "NotFound",
  405: "MethodNotAllowed",
  409: "Conflict",
  410: "Gone",
  413: "RequestEntityTooLarge",
  415: "UnsupportedMediaType",
  422: "Invalid",
  429: "TooManyRequests",
  500: "InternalError",
  503: "ServiceUnavailable",
  504: "Timeout",
};

function reasonOf(status: number): string {
  return REASONS[status] ?? "Unknown";
}

function causeOf({ field, message, reason }: Record<string, unknown>): KubeErrorCause {
  return {
    reason: typeof reason === "string" ? reason : "",
    field: typeof field === "string" ? field : "",
    message: typeof message === "string" ? message : "",
  };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
