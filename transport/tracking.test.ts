/** Lines of several threads in one file: each whole, however much is written at once. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { systemClock } from "../lib/clock.ts";
import { type MessageFacts, openTracking, type TrackingEvent } from "./tracking.ts";

const EVENTS = 3000;

function event(writer: string, n: number): TrackingEvent {
  const recipients = Array.from({ length: 20 }, (_, at) => `ann${at}@x.example`);
  const of = { id: `${writer}${n}`, networkMessageId: writer, messageId: "", sender: "", recipients };
  return { of, step: { event: "RECEIVE", source: "SMTP" } };
}

test("two that write a megabyte each at the same moment tear no line of one another", async () => {
  const state = mkdtempSync(join(tmpdir(), "postroom-tracking-"));
  for (let round = 0; round < 5; round += 1) {
    const writers = await Promise.all([openTracking(state, systemClock), openTracking(state, systemClock)]);
    for (let n = 0; n < EVENTS; n += 1)
      for (const [at, one] of writers.entries()) one.track(event(`${round}-${at}-`, n));
    await Promise.all(writers.map((one) => one.close()));
  }
  const folder = join(state, "tracking");
  const lines = readdirSync(folder).flatMap((name) =>
    readFileSync(join(folder, name), "utf8").trimEnd().split("\n"),
  );
  const ids = lines.map((line) => (JSON.parse(line) as MessageFacts).id);
  expect(new Set(ids).size).toBe(EVENTS * 2 * 5);
  expect(ids).toHaveLength(EVENTS * 2 * 5);
  rmSync(state, { recursive: true });
});
