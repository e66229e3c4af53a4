import pino from "pino";
import { afterEach, describe, expect, test } from "vitest";
import { eventually } from "../../test/helpers/eventually.ts";
import { createFakeClock } from "../../test/helpers/fake-clock.ts";
import {
  type FakeCall,
  type FakeKube,
  hastyClock,
  silentLog,
  startFakeKube,
} from "../../test/helpers/fake-kube.ts";
import { fastClock } from "../../test/helpers/fast-clock.ts";
import { type Clock, systemClock } from "../clock.ts";
import { RESOURCES } from "./paths.ts";
import { type ReflectorOptions, startReflector } from "./reflector.ts";
import type { KubeObject, Reflector } from "./types.ts";

let kube: FakeKube;
const reflectors: Reflector<string>[] = [];

afterEach(async () => {
  for (const reflector of reflectors.splice(0)) reflector.stop();
  await kube.stop();
});

/** An object whose item is its `value`. */
function object(name: string, resourceVersion: number, value = `${name}${resourceVersion}`): KubeObject {
  return {
    metadata: { name, namespace: "mail", uid: `uid-${name}`, resourceVersion: `${resourceVersion}` },
    value,
  };
}

/** Told changes as text: "a: - > a1". */
function start(options: Partial<ReflectorOptions<string>> = {}) {
  const told: string[] = [];
  const clock = options.clock ?? systemClock;
  const reflector = startReflector<string>({
    http: kube.client({ clock }),
    clock,
    log: silentLog,
    type: RESOURCES.TransportRule,
    random: () => 0,
    // A clock that is in haste takes short deadlines for rests.
    unheardMs: 150_000,
    transform: ({ value }) => String(value),
    onChange: ({ key, before = "-", now = "-" }) => told.push(`${key.slice(5)}: ${before} > ${now}`),
    ...options,
  });
  reflectors.push(reflector);
  return { reflector, told };
}

/** Answers lists and watches by their count, from 1; a watch that is not answered stays open. */
function serve(
  list: (call: FakeCall, count: number) => void,
  watch: (call: FakeCall, count: number) => void = () => {},
) {
  return startFakeKube((call) => {
    if (call.query.get("watch") === "true") watch(call, kube.watches.length);
    else list(call, kube.lists);
  });
}

const gone = { kind: "Status", code: 410, reason: "Expired", message: "too old resource version" };

describe("list", () => {
  test("pages are put together, then the watch begins where the list ended", async () => {
    kube = await serve((call, count) => {
      if (count === 1) call.list([object("a", 1)], { resourceVersion: "9", continue: "next" });
      else call.list([object("b", 2)], { resourceVersion: "9" });
    });
    const { reflector, told } = start({ pageSize: 1, namespace: "mail", labelSelector: "a=b" });
    await reflector.synced;
    await eventually(() => kube.watches.length === 1);
    expect([...reflector.items()]).toEqual(["a1", "b2"]);
    expect([reflector.get("mail/b"), reflector.size, reflector.isSynced]).toEqual(["b2", 2, true]);
    expect(told).toEqual(["a: - > a1", "b: - > b2"]);
    expect(kube.calls.map(({ query }) => query.toString())).toEqual([
      "limit=1&labelSelector=a%3Db",
      "limit=1&continue=next&labelSelector=a%3Db",
      "resourceVersion=9&allowWatchBookmarks=true&timeoutSeconds=290&labelSelector=a%3Db&watch=true",
    ]);
    expect(kube.calls[0]?.path).toBe("/apis/postroom.dev/v1alpha1/namespaces/mail/transportrules");
  });

  test("a continue token that expired begins the list anew, and what went meanwhile is told", async () => {
    kube = await serve((call, count) => {
      if (count === 1) call.list([object("a", 1)], { resourceVersion: "5", continue: "next" });
      else if (count === 2) call.json({ ...gone, status: "Failure" });
      else call.list([object("b", 2)], { resourceVersion: "9" });
    });
    kube.answer = ((serveIt) => (call) => {
      if (call.query.get("continue") === "next") call.status(410, "Expired");
      else serveIt(call);
    })(kube.answer);
    const { reflector, told } = start({ clock: hastyClock([]) });
    await reflector.synced;
    expect(told).toEqual(["a: - > a1", "b: - > b2", "a: a1 > -"]);
    expect(kube.calls[2]?.query.toString()).toBe("limit=500");
  });

  test("a page that is too large is asked for again by halves", async () => {
    const many = Array.from({ length: 4 }, (_, at) => object(`r${at}`, at, "x".repeat(400)));
    kube = await startFakeKube((call) => {
      if (call.query.get("watch")) return;
      const from = Number(call.query.get("continue") ?? 0);
      const to = from + Number(call.query.get("limit"));
      call.list(many.slice(from, to), { resourceVersion: "9", ...(to < 4 && { continue: `${to}` }) });
    });
    const { reflector } = start({ http: kube.client({ maxAnswerBytes: 1500 }), pageSize: 4 });
    await reflector.synced;
    expect(reflector.size).toBe(4);
    expect(kube.calls.map(({ query }) => query.get("limit")).slice(0, 3)).toEqual(["4", "2", "2"]);
  });

  test.each([
    { name: "503", fail: (call: FakeCall) => call.status(503, "ServiceUnavailable") },
    { name: "500", fail: (call: FakeCall) => call.status(500, "InternalError") },
    { name: "403", fail: (call: FakeCall) => call.status(403, "Forbidden") },
    { name: "429", fail: (call: FakeCall) => call.status(429, "", { headers: { "retry-after": "1" } }) },
    { name: "a reset", fail: (call: FakeCall) => call.reset() },
    { name: "no list", fail: (call: FakeCall) => call.json({ metadata: {} }) },
  ])("$name is tried again until it goes well", async ({ fail }) => {
    kube = await serve((call, count) => {
      if (count < 6) fail(call);
      else call.list([object("a", 1)], { resourceVersion: "9" });
    });
    const { reflector } = start({ clock: hastyClock([]) });
    expect(reflector.isSynced).toBe(false);
    await reflector.synced;
    expect(reflector.get("mail/a")).toBe("a1");
  });

  test("an hour of failures is a line a minute at most, and the rest is there for who debugs", async () => {
    const levels: number[] = [];
    const log = pino(
      { level: "debug" },
      { write: (line: string) => void levels.push(JSON.parse(line).level) },
    );
    const hasty = hastyClock([]);
    let now = 0;
    const sleep: Clock["sleep"] = (ms, signal) => {
      const isRest = ms <= 30_000;
      if (isRest) now += ms;
      return hasty.sleep(isRest ? 1 : ms, signal);
    };
    kube = await serve((call) => call.status(403, "Forbidden"));
    start({ log, clock: { now: () => now, sleep } });
    await eventually(() => now > 600_000);
    // It goes on while we look: what counts is the rate.
    const minutes = now / 60_000;
    const warned = levels.filter((level) => level === 40).length;
    expect(warned).toBeLessThanOrEqual(minutes + 1);
    // A rest of half a minute may lie between the end of a minute and the next failure.
    expect(warned).toBeGreaterThanOrEqual(minutes / 1.5 - 1);
    expect(levels.length).toBeGreaterThan(2 * warned);
  });

  test("a proxy that asks for a week is asked again within two minutes", async () => {
    const hasty = hastyClock([]);
    const rests: number[] = [];
    const sleep: Clock["sleep"] = (ms, signal) => {
      if (ms < 100_000) return hasty.sleep(ms, signal);
      rests.push(ms);
      return Promise.resolve();
    };
    kube = await serve((call, count) => {
      if (count < 2) call.status(503, "", { headers: { "retry-after": "604800" } });
      else call.list([object("a", 1)], { resourceVersion: "9" });
    });
    const { reflector } = start({ clock: { now: hasty.now, sleep } });
    await reflector.synced;
    expect(rests).toEqual([120_000]);
  });

  test("managedFields are dropped, kind and apiVersion are filled in", async () => {
    const { metadata } = object("a", 1);
    kube = await serve((call) =>
      call.list([{ metadata: { ...metadata, managedFields: [{}] } }], { resourceVersion: "9" }),
    );
    const seen: KubeObject[] = [];
    const { reflector } = start({ transform: (one) => String(seen.push(one)) });
    await reflector.synced;
    expect(seen).toEqual([{ apiVersion: "postroom.dev/v1alpha1", kind: "TransportRule", metadata }]);
  });
});

describe("watch", () => {
  const listed = (call: FakeCall) => call.list([object("a", 1), object("b", 2)], { resourceVersion: "2" });

  test("events change what is held, and each is told once", async () => {
    kube = await serve(listed, (call) => {
      call.event("ADDED", object("c", 3));
      call.event("MODIFIED", object("a", 4));
      call.event("MODIFIED", object("a", 4));
      call.event("DELETED", object("b", 5));
    });
    const { reflector, told } = start();
    await eventually(() => told.length === 5);
    expect(told.slice(2)).toEqual(["c: - > c3", "a: a1 > a4", "b: b2 > -"]);
    expect([...reflector.items()]).toEqual(["a4", "c3"]);
  });

  test("the next watch begins at the last event or bookmark, without a list", async () => {
    kube = await serve(listed, (call, count) => {
      if (count === 1) call.event("ADDED", object("c", 3));
      if (count === 2) call.event("BOOKMARK", { metadata: { resourceVersion: "77" } });
      if (count < 3) call.response.end();
    });
    start({ clock: hastyClock([]) });
    await eventually(() => kube.watches.length === 3);
    expect(kube.watches.map(({ query }) => query.get("resourceVersion"))).toEqual(["2", "3", "77"]);
    expect(kube.lists).toBe(1);
  });

  test.each([
    { name: "410 in the stream", fail: (call: FakeCall) => call.event("ERROR", gone) },
    { name: "410 as answer", fail: (call: FakeCall) => call.status(410, "Expired") },
    {
      name: "500 in the stream",
      fail: (call: FakeCall) => call.event("ERROR", { kind: "Status", code: 500, reason: "InternalError" }),
    },
    { name: "a line that is no event", fail: (call: FakeCall) => void call.response.write("<html>\n") },
    { name: "an event without metadata", fail: (call: FakeCall) => call.event("ADDED", {}) },
  ])("after $name it lists anew: what went is told, what stayed is not", async ({ fail }) => {
    kube = await serve(
      (call, count) => {
        if (count === 1) listed(call);
        else call.list([object("a", 1), object("c", 8)], { resourceVersion: "9" });
      },
      (call, count) => {
        if (count === 1) fail(call);
      },
    );
    const { told } = start({ clock: hastyClock([]) });
    await eventually(() => kube.watches.length === 2);
    expect(told.slice(2)).toEqual(["c: - > c8", "b: b2 > -"]);
    expect(kube.watches[1]?.query.get("resourceVersion")).toBe("9");
  });

  test.each([
    {
      name: "a reset within an event",
      fail: (call: FakeCall) => void call.response.write('{"ty', () => call.reset()),
    },
    { name: "503", fail: (call: FakeCall) => call.status(503, "ServiceUnavailable") },
    { name: "429", fail: (call: FakeCall) => call.status(429, "TooManyRequests") },
  ])("$name is no reason to list anew", async ({ fail }) => {
    kube = await serve(listed, (call, count) => {
      if (count < 4) fail(call);
      else call.event("ADDED", object("c", 3));
    });
    const { reflector } = start({ clock: hastyClock([]) });
    await eventually(() => reflector.get("mail/c"));
    expect(kube.lists).toBe(1);
  });

  test("a silent watch is opened anew where it was", async () => {
    kube = await serve(listed, (call, count) => {
      if (count === 1) call.event("ADDED", object("c", 3));
      else call.event("ADDED", object("d", 4));
    });
    const { reflector } = start({ clock: fastClock(100) });
    await eventually(() => reflector.get("mail/d"));
    expect(kube.watches[1]?.query.get("resourceVersion")).toBe("3");
    expect(kube.lists).toBe(1);
  });

  test("one that was not heard since the list is given less time, twice as much each time", async () => {
    kube = await serve(listed, (call, count) => {
      if (count === 4) call.event("ADDED", object("c", 3));
    });
    const clock = fastClock(200);
    const began = clock.now();
    const times: number[] = [];
    const http = kube.client({ clock });
    const counting: typeof http = {
      request: (call) => http.request(call),
      watch(call) {
        times.push(call.silenceMs);
        return http.watch(call);
      },
      close: () => http.close(),
    };
    const { reflector } = start({ clock, http: counting, unheardMs: 20_000 });
    await eventually(() => reflector.get("mail/c") && times.length >= 5);
    expect(times.slice(0, 5)).toEqual([20_000, 40_000, 80_000, 150_000, 150_000]);
    expect(clock.now() - began).toBeGreaterThan(140_000);
    expect(kube.lists).toBe(1);
  });

  test("a storm of events before each 410 does not shorten the rests", async () => {
    let version = 10;
    kube = await serve(
      (call) => call.list([], { resourceVersion: `${version}` }),
      (call) => {
        for (let count = 0; count < 100; count++) call.event("ADDED", object("a", version++));
        call.event("ERROR", gone);
      },
    );
    const rests: number[] = [];
    start({ clock: hastyClock(rests), random: () => 0.9999 });
    await eventually(() => rests.length >= 6);
    expect(rests.slice(0, 6)).toEqual([500, 1000, 2000, 4000, 8000, 16_000]);
  });

  test("a server that ends every watch at once is not asked without rest", async () => {
    kube = await serve(listed, (call) => call.response.end());
    const rests: number[] = [];
    start({ clock: hastyClock(rests), random: () => 0.9999 });
    await eventually(() => rests.length >= 6);
    // No longer than that: going on where it was costs the server nothing.
    expect(rests.slice(0, 6)).toEqual([500, 1000, 2000, 4000, 5000, 5000]);
    expect(kube.lists).toBe(1);
  });

  test("another object of the same name is one that went and one that came", async () => {
    kube = await serve(listed, (call) => {
      const { metadata, ...rest } = object("a", 9);
      call.event("ADDED", { ...rest, metadata: { ...metadata, uid: "another" } });
    });
    const { told } = start();
    await eventually(() => told.length === 4);
    expect(told.slice(2)).toEqual(["a: a1 > -", "a: - > a9"]);
  });
});

describe("faults of ours", () => {
  test("what cannot be transformed keeps its last form, or stays out; the rest goes on", async () => {
    kube = await serve(
      (call) => call.list([object("a", 1), object("b", 2, "bad")], { resourceVersion: "2" }),
      (call) => {
        call.event("MODIFIED", object("a", 3, "bad"));
        call.event("ADDED", object("c", 4));
      },
    );
    const { reflector, told } = start({
      transform: ({ value }) => {
        if (value === "bad") throw new Error("cannot be read");
        return String(value);
      },
    });
    await eventually(() => reflector.get("mail/c"));
    expect([...reflector.items()]).toEqual(["a1", "c4"]);
    expect(told).toEqual(["a: - > a1", "c: - > c4"]);
  });

  test("a listener that throws hears the next change", async () => {
    kube = await serve(
      (call) => call.list([object("a", 1)], { resourceVersion: "1" }),
      (call) => call.event("ADDED", object("b", 2)),
    );
    const heard: string[] = [];
    start({
      onChange: ({ key }) => {
        heard.push(key);
        throw new Error("fault");
      },
    });
    await eventually(() => heard.length === 2);
    expect([heard, kube.lists]).toEqual([["mail/a", "mail/b"], 1]);
  });
});

describe("stop()", () => {
  test("during the list: no connection stays, no watch begins, nothing is told", async () => {
    let answerLate = () => {};
    kube = await serve((call) => {
      answerLate = () => call.list([object("a", 1)], { resourceVersion: "1" });
    });
    const { reflector, told } = start();
    await eventually(() => kube.lists === 1);
    reflector.stop();
    answerLate();
    await eventually(() => kube.open === 0);
    expect([kube.calls.length, told, reflector.isSynced]).toEqual([1, [], false]);
  });

  test("between two pages", async () => {
    kube = await serve((call) => call.list([object("a", 1)], { resourceVersion: "1", continue: "next" }));
    const { reflector } = start({ onChange: () => reflector.stop(), clock: hastyClock([]) });
    await eventually(() => reflector.size === 1);
    await kube.client().request({ method: "GET", path: "/barrier" });
    expect(kube.calls.map(({ path }) => path.split("/").at(-1))).toEqual(["transportrules", "barrier"]);
    expect(reflector.isSynced).toBe(false);
  });

  test("by the listener, in the middle of many events: the next is not told", async () => {
    kube = await serve(
      (call) => call.list([], { resourceVersion: "1" }),
      (call) => {
        for (let count = 2; count < 50; count++) call.event("ADDED", object(`r${count}`, count));
      },
    );
    const heard: string[] = [];
    const { reflector } = start({
      onChange: ({ key }) => {
        heard.push(key);
        reflector.stop();
      },
    });
    await eventually(() => kube.watches[0]?.response.destroyed === true);
    expect([heard, reflector.size]).toEqual([["mail/r2"], 1]);
  });

  test("while it rests: nothing is asked again", async () => {
    kube = await serve((call) => call.status(403, "Forbidden"));
    const clock = createFakeClock();
    const { reflector } = start({ clock });
    await eventually(() => kube.calls.length === 1 && clock.sleepers() === 1);
    reflector.stop();
    await eventually(() => clock.sleepers() === 0);
    await clock.advance(60_000);
    expect(kube.calls.length).toBe(1);
  });
});
