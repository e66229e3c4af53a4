import { setTimeout as pause } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { afterEach, describe, expect, test } from "vitest";
import { eventually } from "../../test/helpers/eventually.ts";
import { type FakeCall, type FakeKube, hastyClock, startFakeKube } from "../../test/helpers/fake-kube.ts";
import type { KubeError } from "./errors.ts";
import type { KubeCall } from "./types.ts";

const GET: KubeCall = { method: "GET", path: "/api/v1/namespaces/mail/secrets/hub" };
let kube: FakeKube;

afterEach(() => kube.stop());

/** Answers in turn; the last one stays. */
function inTurn(...answers: ((call: FakeCall) => void)[]): (call: FakeCall) => void {
  return (call) => (answers.length > 1 ? answers.shift() : answers[0])?.(call);
}

const good = (call: FakeCall) => call.json({ kind: "Secret" });
const busy = (call: FakeCall) => call.status(503, "ServiceUnavailable");
const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => expect.fail("the call succeeded"),
    (error: KubeError) => error,
  );

describe("connections", () => {
  test("100 calls one after the other take one connection", async () => {
    kube = await startFakeKube(good);
    const http = kube.client();
    for (let count = 0; count < 100; count++) await http.request(GET);
    expect([kube.calls.length, kube.connections]).toEqual([100, 1]);
  });

  test("100 calls at once take 16", async () => {
    kube = await startFakeKube(good);
    const http = kube.client();
    await Promise.all(Array.from({ length: 100 }, () => http.request(GET)));
    expect([kube.calls.length, kube.connections]).toEqual([100, 16]);
  });

  test("a connection survives a refusal", async () => {
    kube = await startFakeKube((call) => call.status(404, "NotFound"));
    const http = kube.client();
    for (let count = 0; count < 3; count++) await failure(http.request(GET));
    expect(kube.connections).toBe(1);
  });

  test("a kept connection that the server ended is replaced at once, without a rest", async () => {
    const rests: number[] = [];
    kube = await startFakeKube(inTurn(good, (call) => call.reset(), good));
    const http = kube.client({ clock: hastyClock(rests) });
    await http.request(GET);
    await http.request(GET);
    expect([kube.connections, rests]).toEqual([2, []]);
  });

  test("a POST on it is not made twice", async () => {
    kube = await startFakeKube(inTurn(good, (call) => call.reset(), good));
    const http = kube.client();
    await http.request(GET);
    const error = await failure(http.request({ method: "POST", path: "/api/v1/namespaces", body: {} }));
    expect([error.code, kube.calls.length]).toEqual(["network", 2]);
  });

  test("close() leaves no connection and refuses later calls", async () => {
    kube = await startFakeKube(good);
    const http = kube.client();
    await http.request(GET);
    http.close();
    await eventually(() => kube.open === 0);
    expect((await failure(http.request(GET))).code).toBe("aborted");
  });
});

describe("repetition", () => {
  test("503 twice, then an answer", async () => {
    const rests: number[] = [];
    kube = await startFakeKube(inTurn(busy, busy, good));
    expect(await kube.client({ clock: hastyClock(rests) }).request(GET)).toEqual({ kind: "Secret" });
    expect(rests).toEqual([100, 300]);
  });

  test("Retry-After is kept to", async () => {
    const rests: number[] = [];
    const wait = (call: FakeCall) => call.status(429, "TooManyRequests", { headers: { "retry-after": "7" } });
    kube = await startFakeKube(inTurn(wait, good));
    await kube
      .client({ clock: hastyClock(rests) })
      .request({ method: "POST", path: "/api/v1/namespaces", body: {} });
    expect(rests).toEqual([7100]);
  });

  test("a Retry-After beyond the deadline is handed to the caller at once", async () => {
    kube = await startFakeKube((call) =>
      call.status(429, "TooManyRequests", { headers: { "retry-after": "60" } }),
    );
    const error = await failure(kube.client({ clock: hastyClock([]) }).request(GET));
    expect([error.status, error.retryAfterMs, kube.calls.length]).toEqual([429, 60_000, 1]);
  });

  test("five times 503 is the failure", async () => {
    kube = await startFakeKube(busy);
    const error = await failure(kube.client({ clock: hastyClock([]) }).request(GET));
    expect([error.status, kube.calls.length]).toEqual([503, 5]);
  });

  test("a reset in the middle of the body is repeated", async () => {
    const cut = (call: FakeCall) => {
      call.response.writeHead(200, { "content-length": "1000" });
      call.response.write('{"kind":', () => call.reset());
    };
    kube = await startFakeKube(inTurn(cut, good));
    expect(await kube.client({ clock: hastyClock([]) }).request(GET)).toEqual({ kind: "Secret" });
  });

  test("401 makes the credentials be read anew, once, for a POST too", async () => {
    kube = await startFakeKube((call) =>
      call.headers.authorization === "Bearer 1" ? good(call) : call.status(401, "Unauthorized"),
    );
    let token = 0;
    const http = kube.client({
      auth: {
        ...kube.auth,
        credentials: async () => ({ headers: { authorization: `Bearer ${token}` } }),
        refused: () => void token++,
      },
    });
    const call: KubeCall = { method: "POST", path: "/api/v1/namespaces", body: {} };
    await http.request(call);
    expect(kube.calls.length).toBe(2);
    token = 5;
    expect((await failure(http.request(call))).status).toBe(401);
    expect(kube.calls.length).toBe(4);
  });

  test("credentials that cannot be had are asked for again", async () => {
    kube = await startFakeKube(good);
    let asked = 0;
    const credentials = async () => {
      if (asked++ === 0) throw new Error("no such file");
      return { headers: {} };
    };
    await kube.client({ clock: hastyClock([]), auth: { ...kube.auth, credentials } }).request(GET);
    expect([asked, kube.calls.length]).toEqual([2, 1]);
  });
});

describe("what is sent", () => {
  test("a write asks for strict validation and names its type and length", async () => {
    kube = await startFakeKube(good);
    await kube.client().request({
      method: "PATCH",
      path: "/api/v1/namespaces/mail",
      query: { fieldManager: "postroom-operator", force: true, dryRun: undefined },
      contentType: "application/apply-patch+yaml",
      body: { a: "ü" },
    });
    const [call] = kube.calls;
    expect(call?.query.toString()).toBe("fieldValidation=Strict&fieldManager=postroom-operator&force=true");
    expect(call?.headers).toMatchObject({
      "content-type": "application/apply-patch+yaml",
      "content-length": "10",
      "user-agent": "test",
      authorization: "Bearer token-of-the-test",
    });
    expect(call?.body).toBe('{"a":"ü"}');
  });

  test("a patch without a type is our own fault", async () => {
    kube = await startFakeKube(good);
    await expect(kube.client().request({ method: "PATCH", path: "/x", body: {} })).rejects.toThrow(TypeError);
  });

  test("a path of the server stands before that of the call", async () => {
    kube = await startFakeKube(good);
    const auth = { ...kube.auth, server: `${kube.auth.server}/k8s/clusters/c-1/` };
    await kube.client({ auth }).request(GET);
    expect(kube.calls[0]?.path).toBe(`/k8s/clusters/c-1${GET.path}`);
  });

  test("every try is counted by verb, resource and code", async () => {
    const counted: string[] = [];
    kube = await startFakeKube(inTurn((call) => call.reset(), busy, good));
    const count = (...labels: string[]) => void counted.push(labels.join(" "));
    await kube.client({ clock: hastyClock([]), count }).request({ ...GET, method: "DELETE" });
    expect(counted).toEqual(["DELETE secrets network", "DELETE secrets 503", "DELETE secrets 200"]);
  });
});

describe("answers", () => {
  const zipped = (text: string) => (call: FakeCall) => {
    call.response.setHeader("content-encoding", "gzip");
    call.response.end(gzipSync(text));
  };

  test("a zipped answer is unzipped", async () => {
    kube = await startFakeKube(zipped('{"kind":"List"}'));
    expect(await kube.client().request(GET)).toEqual({ kind: "List" });
    expect(kube.calls[0]?.headers["accept-encoding"]).toBe("gzip");
  });

  test.each([
    { name: "too long", answer: (call: FakeCall) => call.json("x".repeat(2000)), want: "too-large" },
    { name: "too long once unzipped", answer: zipped(`"${"x".repeat(100_000)}"`), want: "too-large" },
    { name: "no JSON", answer: (call: FakeCall) => call.response.end("<html>"), want: "malformed" },
  ])("an answer that is $name is a failure", async ({ answer, want }) => {
    kube = await startFakeKube(answer);
    const error = await failure(kube.client({ maxAnswerBytes: 1000, clock: hastyClock([]) }).request(GET));
    expect([error.code, kube.calls.length]).toEqual([want, 1]);
    expect(error.message).not.toMatch(/xxx|html/);
  });
});

describe("ends", () => {
  const never = () => {};

  test("a call settles within its time, and its connection is gone", async () => {
    kube = await startFakeKube(never);
    const error = await failure(kube.client().request({ ...GET, timeoutMs: 100 }));
    expect([error.code, error.message]).toEqual([
      "timeout",
      `Cannot GET "${GET.path}": Timeout: no answer in time`,
    ]);
    await eventually(() => kube.open === 0);
  });

  test("a call that timed out takes the idle connections with it", async () => {
    kube = await startFakeKube((call) => void pause(20).then(() => good(call)));
    const http = kube.client();
    await Promise.all([http.request(GET), http.request(GET)]);
    kube.answer = never;
    await failure(http.request({ ...GET, timeoutMs: 100 }));
    await eventually(() => kube.open === 0);
  });

  test("credentials that never come count as time", async () => {
    kube = await startFakeKube(good);
    const http = kube.client({ auth: { ...kube.auth, credentials: () => new Promise(() => {}) } });
    expect((await failure(http.request({ ...GET, timeoutMs: 50 }))).code).toBe("timeout");
  });

  test.each([
    { name: "in flight", answer: never },
    {
      name: "at rest",
      answer: (call: FakeCall) => call.status(429, "", { headers: { "retry-after": "20" } }),
    },
  ])("the caller may give up while the call is $name", async ({ answer }) => {
    kube = await startFakeKube(answer);
    const stop = new AbortController();
    const error = failure(kube.client().request({ ...GET, signal: stop.signal }));
    await eventually(() => kube.calls.length === 1);
    stop.abort();
    expect((await error).code).toBe("aborted");
    expect(kube.calls.length).toBe(1);
  });

  test("a signal that aborted before sends nothing", async () => {
    kube = await startFakeKube(good);
    const error = await failure(kube.client().request({ ...GET, signal: AbortSignal.abort() }));
    expect([error.code, kube.calls.length]).toEqual(["aborted", 0]);
  });

  test("a port where nobody listens is named", async () => {
    kube = await startFakeKube(good);
    const http = kube.client({ clock: hastyClock([]) });
    await kube.stop();
    const again = kube.client({ clock: hastyClock([]) });
    expect((await failure(again.request(GET))).message).toMatch(/ConnectionFailed: connect ECONNREFUSED/);
    http.close();
  });
});
