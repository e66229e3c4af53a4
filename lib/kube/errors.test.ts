import { describe, expect, test } from "vitest";
import {
  errorOfStatus,
  isAlreadyExists,
  isConflict,
  isForbidden,
  isGone,
  isNotFound,
  isRetriable,
  KubeError,
} from "./errors.ts";

const call = { verb: "GET", path: "/api/v1/namespaces/mail" };

describe("errorOfStatus()", () => {
  test("the message names verb, path, status, reason and the server's words", () => {
    const body = { kind: "Status", code: 404, reason: "NotFound", message: 'namespaces "mail" not found' };
    expect(errorOfStatus(call, body, { status: 404 }).message).toBe(
      'Cannot GET "/api/v1/namespaces/mail": 404 NotFound: namespaces "mail" not found',
    );
  });

  test("causes are kept with their fields", () => {
    const details = {
      causes: [{ reason: "FieldValueInvalid", field: "spec.mode", message: "no such mode" }, null],
    };
    const body = { kind: "Status", code: 422, reason: "Invalid", message: "is invalid", details };
    expect(errorOfStatus(call, body, { status: 422 }).causes).toEqual([
      { reason: "FieldValueInvalid", field: "spec.mode", message: "no such mode" },
    ]);
  });

  test.each([
    {
      name: "a page of a balancer gives the status alone",
      body: "<html>token</html>",
      want: "503 ServiceUnavailable",
    },
    {
      name: "another object is no Status",
      body: { kind: "Secret", data: { a: "b" } },
      want: "503 ServiceUnavailable",
    },
    { name: "an empty body too", body: undefined, want: "503 ServiceUnavailable" },
  ])("$name", ({ body, want }) => {
    expect(errorOfStatus(call, body, { status: 503 }).message).toBe(`Cannot GET "${call.path}": ${want}`);
  });

  test("the wait is the header's, else that of the details", () => {
    const body = { kind: "Status", code: 429, details: { retryAfterSeconds: 3 } };
    expect(errorOfStatus(call, body, { status: 429 }).retryAfterMs).toBe(3000);
    expect(errorOfStatus(call, body, { status: 429, retryAfterMs: 1000 }).retryAfterMs).toBe(1000);
  });
});

describe("predicates", () => {
  const refusal = (status: number, reason: string) => new KubeError({ ...call, status, reason, words: "" });
  test.each([
    { name: "404 is not found", error: refusal(404, "NotFound"), want: ["isNotFound"] },
    { name: "409 is a conflict", error: refusal(409, "Conflict"), want: ["isConflict"] },
    { name: "409 AlreadyExists is none", error: refusal(409, "AlreadyExists"), want: ["isAlreadyExists"] },
    { name: "410 is gone", error: refusal(410, "Gone"), want: ["isGone"] },
    { name: "Expired is gone whatever its status", error: refusal(400, "Expired"), want: ["isGone"] },
    { name: "403 is forbidden", error: refusal(403, "Forbidden"), want: ["isForbidden"] },
    { name: "429 may succeed later", error: refusal(429, "TooManyRequests"), want: ["isRetriable"] },
    { name: "503 may succeed later", error: refusal(503, "ServiceUnavailable"), want: ["isRetriable"] },
    { name: "501 never will", error: refusal(501, "NotImplemented"), want: [] },
    { name: "422 never will", error: refusal(422, "Invalid"), want: [] },
    { name: "an error of ours is none of them", error: new Error("404"), want: [] },
  ])("$name", ({ error, want }) => {
    const all = { isNotFound, isConflict, isAlreadyExists, isGone, isForbidden, isRetriable };
    const holds = Object.entries(all).filter(([, predicate]) => predicate(error));
    expect(holds.map(([name]) => name)).toEqual(want);
  });
});
