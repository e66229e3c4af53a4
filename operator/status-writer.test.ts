import { setImmediate as turn } from "node:timers/promises";
import pino from "pino";
import { describe, expect, test } from "vitest";
import { KubeError } from "../lib/kube/errors.ts";
import { createFakeClock } from "../test/helpers/fake-clock.ts";
import { createStatusWriter } from "./status-writer.ts";
import type { ResourceStatus } from "./types.ts";

const log = pino({ level: "silent" });
const KIND = "TransportRule";

function scene({ tookMs }: { readonly tookMs?: number } = {}) {
  const clock = createFakeClock(0);
  const written: { key: string; status: ResourceStatus; at: number }[] = [];
  const faults = new Map<string, unknown>();
  const writer = createStatusWriter({
    clock,
    log,
    async write(_kind, key, status) {
      if (tookMs !== undefined) await clock.sleep(tookMs);
      written.push({ key, status, at: clock.monotonic() });
      const fault = faults.get(key);
      if (fault !== undefined) throw fault;
    },
  });
  const put = (key: string, status: ResourceStatus = { observedGeneration: 1 }, observedGeneration = 1) =>
    writer.put({ kind: KIND, key, status, observedGeneration });
  async function pass(ms: number) {
    await turn();
    await clock.advance(ms);
  }
  return { writer, written, faults, put, pass, clock };
}

function refused(status: number, reason: string): KubeError {
  return new KubeError({ verb: "PATCH", path: "/x", status, reason, words: "" });
}

describe("createStatusWriter()", () => {
  test("of many statuses for one object only the newest is written", async () => {
    const { writer, written, put } = scene();
    for (let generation = 1; generation <= 50; generation += 1)
      put("mail/a", { observedGeneration: generation });
    await writer.idle();
    expect(written).toEqual([{ key: "mail/a", status: { observedGeneration: 50 }, at: 0 }]);
  });

  test("one that comes while an earlier is being written is written after it", async () => {
    const { writer, written, put, pass } = scene({ tookMs: 10 });
    put("mail/a", { observedGeneration: 1 });
    await pass(5);
    put("mail/a", { observedGeneration: 2 });
    await pass(100);
    await writer.idle();
    expect(written.map(({ status }) => status.observedGeneration)).toEqual([1, 2]);
    expect(writer.depth).toBe(0);
  });

  test("an edited object is answered before 10,000 others that wait", async () => {
    const { written, put, pass, writer } = scene({ tookMs: 10 });
    for (let n = 0; n < 10_000; n += 1) put(`mail/rule-${n}`);
    await pass(1000);
    put("mail/edited", { observedGeneration: 2 }, 1);
    await pass(25);
    expect(written.find(({ key }) => key === "mail/edited")?.at).toBeLessThanOrEqual(1020);
    await pass(20_000);
    await writer.idle();
    expect(written).toHaveLength(10_001);
  });

  test("10,000 edited objects don't keep another one from being written", async () => {
    const { written, put, pass, writer } = scene({ tookMs: 10 });
    for (let n = 0; n < 10_000; n += 1) put(`mail/rule-${n}`, { observedGeneration: 2 }, 1);
    put("mail/other");
    await pass(100);
    expect(written.map(({ key }) => key)).toContain("mail/other");
    await pass(20_000);
    await writer.idle();
  });

  test("what failed is written again, as newest known, and holds up no other", async () => {
    const { written, put, pass, faults, writer } = scene();
    faults.set("mail/a", refused(500, "InternalError"));
    put("mail/a", { observedGeneration: 1 });
    put("mail/b");
    await pass(40);
    faults.clear();
    put("mail/a", { observedGeneration: 2 });
    await pass(10);
    await writer.idle();
    expect(written.map(({ key, status }) => `${key} ${status.observedGeneration}`)).toEqual([
      "mail/a 1",
      "mail/b 1",
      "mail/a 2",
    ]);
  });

  test("an object that is gone is forgotten", async () => {
    const { written, put, pass, faults, writer } = scene();
    faults.set("mail/a", refused(404, "NotFound"));
    put("mail/a");
    await writer.idle();
    await pass(100_000);
    expect(written).toHaveLength(1);
    expect(writer.depth).toBe(0);
  });

  test("what was put for an object that is forgotten is not written", async () => {
    const { written, put, writer } = scene();
    put("mail/a");
    writer.forget(KIND, "mail/a");
    await writer.idle();
    expect(written).toEqual([]);
  });
});
