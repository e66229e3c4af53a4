import { setImmediate as turn } from "node:timers/promises";
import pino from "pino";
import { afterEach, describe, expect, test } from "vitest";
import { createFakeClock } from "../../test/helpers/fake-clock.ts";
import { KubeError } from "./errors.ts";
import { createEventRecorder, type EventNote, type EventRecorder } from "./events.ts";
import type { KubeCall, KubeHttp } from "./types.ts";

const log = pino({ level: "silent" });
const recorders: EventRecorder[] = [];
afterEach(async () => {
  await Promise.all(recorders.splice(0).map((recorder) => recorder.stop()));
});

interface WrittenEvent {
  readonly method: string;
  readonly path: string;
  // biome-ignore lint/suspicious/noExplicitAny: the body of an Event, looked into by tests.
  readonly body: any;
}

function scene() {
  const clock = createFakeClock(Date.UTC(2026, 0, 1));
  const calls: WrittenEvent[] = [];
  const answers: KubeError[] = [];
  const http: KubeHttp = {
    async request<Answer>({ method, path, body }: KubeCall): Promise<Answer> {
      calls.push({ method, path, body });
      const fault = answers.shift();
      if (fault !== undefined) throw fault;
      return {} as Answer;
    },
    watch: () => Promise.reject(new Error("not used")) as never,
    close() {},
  };
  const recorder = createEventRecorder({
    http,
    clock,
    log,
    reporter: "postroom.dev/operator",
    instance: "operator-0",
  });
  recorders.push(recorder);
  /** Lets what was recorded be written, then moves on. */
  async function pass(ms: number) {
    await turn();
    await clock.advance(ms);
    await turn();
  }
  const fails = (status: number, reason: string) => {
    const code = status === 0 ? ("timeout" as const) : undefined;
    answers.push(new KubeError({ verb: "POST", path: "/events", status, reason, words: "", code }));
  };
  return { recorder, calls, pass, fails, clock };
}

const NACKED: EventNote = {
  regarding: {
    apiVersion: "postroom.dev/v1alpha1",
    kind: "MailTransport",
    namespace: "mail",
    name: "hub",
    uid: "7",
  },
  type: "Warning",
  reason: "Nacked",
  action: "Rollout",
  note: "hub-0 refused revision 4",
};

describe("createEventRecorder()", () => {
  test("an event is written with the fields of events.k8s.io/v1", async () => {
    const { recorder, calls } = scene();
    recorder.record(NACKED);
    await recorder.idle();
    expect(calls).toEqual([
      {
        method: "POST",
        path: "/apis/events.k8s.io/v1/namespaces/mail/events",
        body: {
          apiVersion: "events.k8s.io/v1",
          kind: "Event",
          metadata: { name: expect.stringMatching(/^hub\.[0-9a-f]{16}$/), namespace: "mail" },
          eventTime: "2026-01-01T00:00:00.000000Z",
          reportingController: "postroom.dev/operator",
          reportingInstance: "operator-0",
          ...NACKED,
        },
      },
    ]);
  });

  test("the same event again is one more of its series: at once the first time, then once a minute", async () => {
    const { recorder, calls, pass } = scene();
    for (let second = 0; second < 120; second += 1) {
      recorder.record({ ...NACKED });
      await pass(1000);
    }
    expect(calls.map(({ method, body }) => `${method} ${body.series?.count ?? 1}`)).toEqual([
      "POST 1",
      "PATCH 2",
      "PATCH 61",
    ]);
    expect(calls[1]).toMatchObject({
      path: expect.stringMatching(/\/events\/hub\.[0-9a-f]{16}$/),
      body: { series: { lastObservedTime: "2026-01-01T00:00:01.000000Z" } },
    });
  });

  test("the same event after more than ten minutes is a new one", async () => {
    const { recorder, calls, pass } = scene();
    recorder.record(NACKED);
    await pass(600_001);
    recorder.record(NACKED);
    await pass(0);
    expect(calls.map(({ method }) => method)).toEqual(["POST", "POST"]);
    expect(calls[0]?.body.metadata.name).not.toBe(calls[1]?.body.metadata.name);
  });

  test("an object has 25 new events at once, then one in 5 seconds; others have their own", async () => {
    const { recorder, calls, pass } = scene();
    const flood = () => {
      for (let n = 0; n < 100; n += 1) recorder.record({ ...NACKED, note: `note ${Math.random()}` });
    };
    flood();
    await pass(0);
    expect(calls).toHaveLength(25);
    recorder.record({ ...NACKED, regarding: { ...NACKED.regarding, name: "edge" } });
    await pass(0);
    expect(calls).toHaveLength(26);
    await pass(5000);
    flood();
    await pass(0);
    expect(calls).toHaveLength(27);
  });

  test("a server that is busy is asked again, and given up after a while", async () => {
    const { recorder, calls, pass, fails } = scene();
    fails(503, "ServiceUnavailable");
    recorder.record(NACKED);
    await pass(1000);
    expect(calls).toHaveLength(2);
    for (let n = 0; n < 100; n += 1) fails(503, "ServiceUnavailable");
    recorder.record({ ...NACKED, reason: "Other" });
    await pass(3_600_000);
    await recorder.idle();
    expect(calls.length).toBeLessThan(15);
  });

  test("a refused event is dropped, and the next one is tried", async () => {
    const { recorder, calls, fails } = scene();
    fails(403, "Forbidden");
    recorder.record(NACKED);
    await recorder.idle();
    recorder.record(NACKED);
    await recorder.idle();
    expect(calls.map(({ method }) => method)).toEqual(["POST", "POST"]);
  });

  test("an event that the server has forgotten is written anew, with its count", async () => {
    const { recorder, calls, fails, pass } = scene();
    recorder.record(NACKED);
    await pass(0);
    fails(404, "NotFound");
    recorder.record(NACKED);
    await pass(0);
    expect(calls.map(({ method, body }) => `${method} ${body.series?.count ?? 1}`)).toEqual([
      "POST 1",
      "PATCH 2",
      "POST 2",
    ]);
  });

  test("an event whose first answer was lost is not written twice", async () => {
    const { recorder, calls, fails, pass } = scene();
    fails(0, "timeout");
    fails(409, "AlreadyExists");
    recorder.record(NACKED);
    await pass(60_000);
    expect(calls.map(({ method }) => method)).toEqual(["POST", "POST"]);
    expect(calls[0]?.body.metadata.name).toBe(calls[1]?.body.metadata.name);
  });

  test("a long note is cut between characters, within 1,024 octets", async () => {
    const { recorder, calls } = scene();
    recorder.record({ ...NACKED, note: "ä".repeat(2000) });
    await recorder.idle();
    const note = calls[0]?.body.note;
    expect(Buffer.byteLength(note)).toBeLessThanOrEqual(1024);
    expect(note).toMatch(/^ä{510}\.\.\.$/);
  });

  test("100,000 different events leave no more than a thousand series in memory", async () => {
    const { recorder, calls, pass } = scene();
    for (let n = 0; n < 100_000; n += 1)
      recorder.record({ ...NACKED, regarding: { ...NACKED.regarding, name: `hub-${n}` } });
    await pass(0);
    await recorder.idle();
    expect(calls.length).toBeLessThanOrEqual(1000);
  });
});
