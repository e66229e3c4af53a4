import { setImmediate as turn } from "node:timers/promises";
import pino from "pino";
import { afterEach, describe, expect, test } from "vitest";
import { createFakeClock, type FakeClock } from "../../test/helpers/fake-clock.ts";
import { KubeError } from "./errors.ts";
import { createLeaderElector, type LeaderElector } from "./leader.ts";
import type { KubeCall, KubeHttp } from "./types.ts";

const log = pino({ level: "silent" });
const HOUR = 3_600_000;

interface Line {
  /** Before the server sees the call, and again before its answer arrives. */
  delayMs: number;
  /** The call never arrives. */
  hangs: boolean;
  fails: boolean;
  /** The server does as told, but its answer is lost. */
  losesAnswers: boolean;
}

const SOUND: Line = { delayMs: 0, hangs: false, fails: false, losesAnswers: false };

interface StoredLease {
  metadata: { resourceVersion: string };
  spec: Record<string, unknown>;
}

/** One Lease as the API server keeps it, with lines that fail one by one. */
function leaseServer(clock: FakeClock) {
  let lease: StoredLease | undefined;
  let version = 0;
  const calls: string[] = [];
  const failure = (method: string, status: number, reason: string) =>
    new KubeError({ verb: method, path: "/lease", status, reason, words: "" });

  function answer({ method, body }: KubeCall): StoredLease {
    calls.push(method);
    const wanted = body as StoredLease;
    if (method === "GET" && lease === undefined) throw failure(method, 404, "NotFound");
    if (method === "POST" && lease !== undefined) throw failure(method, 409, "AlreadyExists");
    if (method === "PUT" && wanted.metadata.resourceVersion !== String(version))
      throw failure(method, 409, "Conflict");
    if (method !== "GET") {
      version += 1;
      lease = structuredClone({ ...wanted, metadata: { ...wanted.metadata, resourceVersion: `${version}` } });
    }
    return structuredClone(lease as StoredLease);
  }

  async function delay({ delayMs }: Line, signal: AbortSignal): Promise<void> {
    if (delayMs > 0) await clock.sleep(delayMs, signal);
  }

  async function travel(line: Line, call: KubeCall, signal: AbortSignal): Promise<StoredLease> {
    if (line.hangs) await clock.sleep(HOUR, signal);
    await delay(line, signal);
    if (line.fails) throw failure(call.method, 503, "ServiceUnavailable");
    const result = answer(call);
    if (line.losesAnswers) await clock.sleep(HOUR, signal);
    await delay(line, signal);
    return result;
  }

  function connect(line: Line): KubeHttp {
    return {
      async request<Answer>(call: KubeCall): Promise<Answer> {
        const over = new AbortController();
        const signal = AbortSignal.any([over.signal, ...(call.signal ? [call.signal] : [])]);
        clock.sleep(call.timeoutMs ?? 30_000, signal).then(
          () => over.abort(failure(call.method, 0, "timeout")),
          () => undefined,
        );
        return (await travel(line, call, signal).finally(() => over.abort())) as Answer;
      },
      watch: () => Promise.reject(new Error("not used")) as never,
      close() {},
    };
  }
  return {
    connect,
    calls,
    get spec() {
      return lease?.spec;
    },
    write(spec: Record<string, unknown>) {
      version += 1;
      lease = { metadata: { resourceVersion: `${version}` }, spec };
    },
  };
}

function scene() {
  const clock = createFakeClock(Date.UTC(2026, 0, 1));
  const server = leaseServer(clock);
  const started: LeaderElector[] = [];
  const told: string[] = [];
  function stand(identity: string, skewMs = 0) {
    const line: Line = { ...SOUND };
    const pause = { ms: 0 };
    const elector = createLeaderElector({
      http: server.connect(line),
      clock: {
        ...clock,
        now: () => clock.now() + skewMs,
        monotonic: () => clock.monotonic() + pause.ms,
      },
      log,
      namespace: "postroom",
      name: "operator",
      identity,
      onElected: () => void told.push(`${identity} elected`),
      onLost: () => void told.push(`${identity} lost`),
    });
    started.push(elector);
    return { elector, line, identity, pause };
  }
  const leaders = () => started.filter(({ isLeader }) => isLeader).length;
  /** Moves on in small steps; never two leaders at any of them. */
  async function pass(ms: number, until: () => boolean = () => false) {
    await turn();
    for (let passed = 0; passed < ms && !until(); passed += 100) {
      await clock.advance(100);
      expect(leaders()).toBeLessThanOrEqual(1);
    }
  }
  return { clock, server, stand, told, leaders, pass, started };
}

const open: { clock: FakeClock; started: LeaderElector[] }[] = [];
function opened() {
  const one = scene();
  open.push(one);
  return one;
}
afterEach(async () => {
  for (const { clock, started } of open.splice(0)) {
    const stopping = Promise.all(started.map((elector) => elector.stop()));
    await clock.advance(60_000);
    await stopping;
  }
});

describe("createLeaderElector()", () => {
  test("the first one to come makes the lease, with the fields of client-go", async () => {
    const { server, stand, pass, told } = opened();
    const a = stand("a");
    await pass(100);
    expect(a.elector.isLeader).toBe(true);
    expect(told).toEqual(["a elected"]);
    expect(server.spec).toEqual({
      holderIdentity: "a",
      leaseDurationSeconds: 15,
      acquireTime: "2026-01-01T00:00:00.000000Z",
      renewTime: "2026-01-01T00:00:00.000000Z",
      leaseTransitions: 0,
    });
  });

  test("the leader renews every 2 seconds by one write and keeps the time of its election", async () => {
    const { server, stand, pass } = opened();
    stand("a");
    await pass(100);
    server.calls.length = 0;
    await pass(60_000);
    expect(server.calls).toEqual(Array(30).fill("PUT"));
    expect(server.spec).toMatchObject({
      acquireTime: "2026-01-01T00:00:00.000000Z",
      renewTime: "2026-01-01T00:01:00.000000Z",
      leaseTransitions: 0,
    });
  });

  test("of three, one leads", async () => {
    const { stand, pass, leaders, told } = opened();
    for (const name of ["a", "b", "c"]) stand(name);
    await pass(60_000);
    expect(leaders()).toBe(1);
    expect(told).toHaveLength(1);
  });

  test("a leader that is cut off is followed after its lease has run out, and knows before that", async () => {
    const { stand, pass, server, told } = opened();
    const a = stand("a");
    await pass(100);
    const b = stand("b");
    await pass(10_000);
    a.line.hangs = true;
    await pass(10_000, () => !a.elector.isLeader);
    expect(a.elector.isLeader).toBe(false);
    expect(b.elector.isLeader).toBe(false);
    await pass(15_000, () => b.elector.isLeader);
    expect(b.elector.isLeader).toBe(true);
    expect(told).toEqual(["a elected", "a lost", "b elected"]);
    expect(server.spec).toMatchObject({ holderIdentity: "b", leaseTransitions: 1 });
  });

  test("a leader that was stopped gives the lease back, and the next one need not wait for its end", async () => {
    const { stand, pass, server, told } = opened();
    const a = stand("a");
    await pass(100);
    const b = stand("b");
    await pass(5000);
    await a.elector.stop();
    expect(a.elector.isLeader).toBe(false);
    expect(server.spec).toMatchObject({ holderIdentity: "", leaseDurationSeconds: 1 });
    await pass(4500, () => b.elector.isLeader);
    expect(b.elector.isLeader).toBe(true);
    expect(told).toEqual(["a elected", "a lost", "b elected"]);
  });

  test("one that does not lead leaves the lease alone when it is stopped", async () => {
    const { stand, pass, server } = opened();
    stand("a");
    await pass(100);
    const b = stand("b");
    await pass(5000);
    await b.elector.stop();
    expect(server.spec).toMatchObject({ holderIdentity: "a" });
  });

  test.each([
    { name: "hours ahead", skew: 5 * HOUR },
    { name: "hours behind", skew: -5 * HOUR },
  ])("a candidate whose wall clock is $name takes nothing from a living leader", async ({ skew }) => {
    const { stand, pass, told } = opened();
    stand("a");
    await pass(100);
    stand("b", skew);
    await pass(120_000);
    expect(told).toEqual(["a elected"]);
  });

  test("a candidate whose wall clock is hours off follows a dead leader as soon as any other", async () => {
    const { stand, pass, server } = opened();
    server.write({
      holderIdentity: "dead",
      leaseDurationSeconds: 15,
      renewTime: "2031-01-01T00:00:00.000000Z",
    });
    const b = stand("b", -5 * HOUR);
    await pass(14_500);
    expect(b.elector.isLeader).toBe(false);
    await pass(6000);
    expect(b.elector.isLeader).toBe(true);
  });

  test("the lease lasts as long as its holder wrote", async () => {
    const { stand, pass, server } = opened();
    server.write({ holderIdentity: "patient", leaseDurationSeconds: 60 });
    const b = stand("b");
    await pass(59_500);
    expect(b.elector.isLeader).toBe(false);
    await pass(6000);
    expect(b.elector.isLeader).toBe(true);
  });

  test("one refused write does not end a term", async () => {
    const { stand, pass, server, told } = opened();
    const a = stand("a");
    await pass(3000);
    a.line.fails = true;
    await pass(6000);
    a.line.fails = false;
    await pass(10_000);
    server.write({ ...server.spec, acquireTime: "2026-01-01T00:00:09.000000Z" });
    await pass(10_000);
    expect(a.elector.isLeader).toBe(true);
    expect(told).toEqual(["a elected"]);
  });

  test("a lease that somebody else holds ends the term at once", async () => {
    const { stand, pass, server, told } = opened();
    const a = stand("a");
    await pass(3000);
    server.write({ holderIdentity: "b", leaseDurationSeconds: 15 });
    await pass(4200);
    expect(a.elector.isLeader).toBe(false);
    expect(told).toEqual(["a elected", "a lost"]);
  });

  test("a process that was stopped past its term knows before anybody tells it", async () => {
    const { stand, pass, told } = opened();
    const a = stand("a");
    await pass(100);
    a.pause.ms = 10_000;
    expect(a.elector.isLeader).toBe(false);
    expect(told).toEqual(["a elected"]);
  });

  test("a term that ran out while the process hung is over, though its renewal is answered then", async () => {
    const { stand, pass, server, told } = opened();
    const a = stand("a");
    await pass(100);
    a.line.fails = true;
    await pass(7000);
    Object.assign(a.line, { fails: false, delayMs: 300 });
    const renewed = server.spec?.renewTime;
    const before = server.calls.length;
    await pass(3000, () => server.calls.length > before);
    expect(a.elector.isLeader).toBe(true);
    // What was read of the lease leads to the renewal, which is under way then.
    await pass(400);
    a.pause.ms = 2500;
    expect(a.elector.isLeader).toBe(false);
    await pass(1500);
    expect(server.spec?.renewTime).not.toBe(renewed);
    expect(told).toEqual(["a elected", "a lost"]);
  });

  test("who lost stands again", async () => {
    const { stand, pass, told } = opened();
    const a = stand("a");
    await pass(100);
    a.line.fails = true;
    await pass(30_000);
    a.line.fails = false;
    await pass(10_000);
    expect(a.elector.isLeader).toBe(true);
    expect(told).toEqual(["a elected", "a lost", "a elected"]);
  });

  test("times that would allow two leaders are refused", () => {
    const { clock, server } = scene();
    const parts = { http: server.connect(SOUND), clock, log, namespace: "n", name: "l", identity: "a" };
    const silent = { onElected() {}, onLost() {} };
    expect(() => createLeaderElector({ ...parts, ...silent, leaseDurationMs: 10_000 })).toThrow(RangeError);
  });

  test.each([1, 2, 3, 4, 5, 6])(
    "never two leaders and always one in the end, whatever the lines do (%i)",
    async (seed) => {
      const { stand, pass, leaders, told } = opened();
      const random = dice(seed);
      const electors = [stand("a", -3 * HOUR), stand("b"), stand("c", 7 * HOUR)];
      for (let step = 0; step < 150; step += 1) {
        for (const { line } of electors) if (random() < 0.3) disturb(line, random);
        await pass(Math.round(random() * 4000));
      }
      for (const { line } of electors) Object.assign(line, SOUND);
      await pass(30_000);
      expect(leaders()).toBe(1);
      for (const { identity } of electors) {
        const own = told.filter((line) => line.startsWith(identity));
        expect(own).toEqual(own.map((_, index) => `${identity} ${index % 2 === 0 ? "elected" : "lost"}`));
      }
      expect(told.filter((line) => line.endsWith("elected")).length).toBeGreaterThan(3);
    },
  );
});

function disturb(line: Line, random: () => number): void {
  line.delayMs = random() < 0.5 ? 0 : Math.round(random() * 4000);
  line.hangs = random() < 0.25;
  line.fails = random() < 0.25;
  line.losesAnswers = random() < 0.2;
}

/** Mulberry32: the same row of numbers for the same seed. */
function dice(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
