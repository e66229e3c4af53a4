import { describe, expect, test } from "vitest";
import { KubeError, type KubeFailureCode } from "./errors.ts";
import { retryDelayMs } from "./http-retry.ts";
import type { KubeCall } from "./types.ts";

const random = () => 0.5;
const refused = (status: number, retryAfterMs?: number) =>
  new KubeError({ verb: "X", path: "/x", status, reason: "", words: "", retryAfterMs });
const failed = (code: KubeFailureCode, cause: Partial<NodeJS.ErrnoException> = {}) =>
  new KubeError(
    { verb: "X", path: "/x", status: 0, reason: "", words: "", code },
    { cause: Object.assign(new Error("x"), cause) },
  );

describe("retryDelayMs()", () => {
  test.each<{
    name: string;
    call: Pick<KubeCall, "method" | "contentType" | "retry">;
    error: KubeError;
    again: boolean;
  }>([
    { name: "a GET after 503", call: { method: "GET" }, error: refused(503), again: true },
    { name: "a DELETE after a reset", call: { method: "DELETE" }, error: failed("network"), again: true },
    { name: "a POST after 429", call: { method: "POST" }, error: refused(429), again: true },
    { name: "a POST after 503", call: { method: "POST" }, error: refused(503), again: false },
    { name: "a POST after a reset", call: { method: "POST" }, error: failed("network"), again: false },
    {
      name: "a POST after a refused connection",
      call: { method: "POST" },
      error: failed("network", { syscall: "connect" }),
      again: true,
    },
    {
      name: "a POST whose caller allows it",
      call: { method: "POST", retry: true },
      error: refused(500),
      again: true,
    },
    {
      name: "a server-side apply",
      call: { method: "PATCH", contentType: "application/apply-patch+yaml" },
      error: refused(503),
      again: true,
    },
    {
      name: "a server-side apply of an unknown field",
      call: { method: "PATCH", contentType: "application/apply-patch+yaml" },
      error: refused(500),
      again: false,
    },
    {
      name: "another patch",
      call: { method: "PATCH", contentType: "application/json-patch+json" },
      error: refused(503),
      again: false,
    },
    { name: "a conflict", call: { method: "PUT" }, error: refused(409), again: false },
    { name: "a server that is not trusted", call: { method: "GET" }, error: failed("tls"), again: false },
    { name: "a caller who gave up", call: { method: "GET" }, error: failed("aborted"), again: false },
    {
      name: "a caller who does not want it",
      call: { method: "GET", retry: false },
      error: refused(503),
      again: false,
    },
  ])("$name: again $again", ({ call, error, again }) => {
    expect(retryDelayMs(call, error, { tries: 1, random }) !== undefined).toBe(again);
  });

  test("rests grow, and after five tries the failure stands", () => {
    const rests = [1, 2, 3, 4, 5].map((tries) =>
      retryDelayMs({ method: "GET" }, refused(500), { tries, random }),
    );
    expect(rests).toEqual([100, 300, 900, 2700, undefined]);
  });

  test("the server's wait comes before the rest of ours", () => {
    expect(retryDelayMs({ method: "GET" }, refused(429, 7000), { tries: 1, random })).toBe(7100);
  });
});
