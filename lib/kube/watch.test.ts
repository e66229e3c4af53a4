import { setTimeout as pause } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import { eventually } from "../../test/helpers/eventually.ts";
import { type FakeCall, type FakeKube, startFakeKube } from "../../test/helpers/fake-kube.ts";
import { isGone, type KubeError } from "./errors.ts";
import type { WatchEvent } from "./types.ts";

const PATH = "/api/v1/configmaps";
let kube: FakeKube;

afterEach(() => kube.stop());

const object = (name: string) => ({ metadata: { name } });

interface Watched {
  readonly events: WatchEvent[];
  readonly stop: AbortController;
  /** undefined: it ended quietly. */
  readonly end: Promise<KubeError | undefined>;
}

async function watched(answer: (call: FakeCall) => void, silenceMs = 10_000): Promise<Watched> {
  kube = await startFakeKube(answer);
  const events: WatchEvent[] = [];
  const stop = new AbortController();
  const read = async () => {
    const call = { path: PATH, query: { resourceVersion: "7" }, signal: stop.signal, silenceMs };
    for await (const event of kube.client().watch(call)) events.push(event);
  };
  return {
    events,
    stop,
    end: read().then(
      () => undefined,
      (error) => error,
    ),
  };
}

describe("watch()", () => {
  test("events come in order until the server ends it, and the connection is used again", async () => {
    const { events, end } = await watched((call) => {
      call.event("ADDED", object("Zürich 😀"));
      call.event("DELETED", object("b"));
      call.response.end();
    });
    expect(await end).toBeUndefined();
    expect(events).toEqual([
      { type: "ADDED", object: object("Zürich 😀") },
      { type: "DELETED", object: object("b") },
    ]);
    expect(kube.calls[0]?.query.toString()).toBe("resourceVersion=7&watch=true");
  });

  test("a character cut in two is whole", async () => {
    const line = Buffer.from(`${JSON.stringify({ type: "ADDED", object: object("日本😀") })}\n`);
    const { events, end } = await watched(async (call) => {
      for (let at = 0; at < line.length; at++) {
        call.response.write(line.subarray(at, at + 1));
        await pause(1);
      }
      call.response.end();
    });
    expect(await end).toBeUndefined();
    expect(events).toEqual([{ type: "ADDED", object: object("日本😀") }]);
  });

  test.each([
    {
      name: "a refusal",
      answer: (call: FakeCall) => call.status(403, "Forbidden", { message: "no" }),
      want: { status: 403, message: `Cannot WATCH "${PATH}": 403 Forbidden: no` },
    },
    {
      name: "an event 410",
      answer: (call: FakeCall) =>
        call.event("ERROR", {
          kind: "Status",
          code: 410,
          reason: "Expired",
          message: "too old resource version",
        }),
      want: { status: 410, reason: "Expired" },
    },
    {
      name: "an event 500",
      answer: (call: FakeCall) => call.event("ERROR", { kind: "Status", code: 500, reason: "InternalError" }),
      want: { status: 500 },
    },
    {
      name: "a reset before the answer",
      answer: (call: FakeCall) => call.reset(),
      want: { code: "network" },
    },
    {
      name: "a reset within an event",
      answer: (call: FakeCall) => void call.response.write('{"type":"ADDED","obj', () => call.reset()),
      want: { code: "network" },
    },
    {
      name: "an end within an event",
      answer: (call: FakeCall) => call.response.end('{"type":"ADDED","obj'),
      want: { code: "network" },
    },
    {
      name: "a line that is no JSON",
      answer: (call: FakeCall) => call.response.end("<html>\n"),
      want: { code: "malformed" },
    },
    {
      name: "a line that is no event",
      answer: (call: FakeCall) => call.response.end('{"kind":"Secret"}\n'),
      want: { code: "malformed" },
    },
  ])("$name ends it with a KubeError", async ({ answer, want }) => {
    const { end } = await watched(answer);
    expect(await end).toMatchObject({ name: "KubeError", ...want });
    await eventually(() => kube.open <= 1);
  });

  test("an event 410 is gone", async () => {
    const { end } = await watched((call) => call.event("ERROR", { kind: "Status", code: 410 }));
    expect(isGone(await end)).toBe(true);
  });

  test.each([
    { name: "before the answer", answer: () => {} },
    { name: "after an event", answer: (call: FakeCall) => call.event("ADDED", object("a")) },
    { name: "within an event", answer: (call: FakeCall) => void call.response.write('{"type":') },
  ])("silence $name ends it and its connection", async ({ answer }) => {
    const { end } = await watched(answer, 200);
    expect(await end).toMatchObject({ code: "timeout" });
    await eventually(() => kube.open === 0);
  });

  test("what is heard puts the end off", async () => {
    const { events, end } = await watched(async (call) => {
      for (let count = 0; count < 8; count++) {
        call.event("BOOKMARK", object("a"));
        await pause(100);
      }
      call.response.end();
    }, 400);
    expect(await end).toBeUndefined();
    expect(events).toHaveLength(8);
  });

  test("the caller's signal closes the connection, and no event comes after", async () => {
    const { events, stop, end } = await watched((call) => call.event("ADDED", object("a")));
    await eventually(() => events.length === 1);
    stop.abort();
    expect(await end).toMatchObject({ code: "aborted" });
    await eventually(() => kube.open === 0);
  });

  test("leaving the loop closes the connection", async () => {
    kube = await startFakeKube((call) => call.event("ADDED", object("a")));
    const call = { path: PATH, query: {}, signal: new AbortController().signal, silenceMs: 10_000 };
    for await (const event of kube.client().watch(call)) {
      expect(event.type).toBe("ADDED");
      break;
    }
    await eventually(() => kube.open === 0);
  });

  test("20 watches leave the calls their connections", async () => {
    kube = await startFakeKube((call) => {
      if (call.path === PATH) call.event("ADDED", object("a"));
      else call.json({});
    });
    const http = kube.client();
    const stop = new AbortController();
    let heard = 0;
    const ends = Array.from({ length: 20 }, async () => {
      for await (const _ of http.watch({ path: PATH, query: {}, signal: stop.signal, silenceMs: 10_000 }))
        heard++;
    });
    await eventually(() => heard === 20);
    await http.request({ method: "GET", path: "/version" });
    expect(kube.connections).toBe(21);
    stop.abort();
    await Promise.allSettled(ends);
  });
});
