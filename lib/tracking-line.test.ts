import { describe, expect, test } from "vitest";
import { readTrackingLine } from "./tracking-line.ts";

const EVENT = {
  time: "2026-01-02T03:04:05.678Z",
  event: "AGENTINFO",
  id: "a",
  recipients: ["ann@x.example"],
};
const AUDIT = { rule: "default/audit", mode: "Audit", outcome: "matched", actions: ["deleteMessage"] };
const OTHER = { ...AUDIT, rule: "default/other", recipients: ["bob@x.example"] };

describe("readTrackingLine()", () => {
  test.each([
    { name: "an event is one record", line: EVENT, want: [EVENT] },
    {
      name: "a rule as older logs have it is one record",
      line: { ...EVENT, ...AUDIT },
      want: [{ ...EVENT, ...AUDIT }],
    },
    {
      name: "each rule of a line is a record, about whom the event is about or whom it names",
      line: { ...EVENT, rules: [AUDIT, OTHER] },
      want: [
        { ...EVENT, ...AUDIT },
        { ...EVENT, ...OTHER },
      ],
    },
  ])("$name", ({ line, want }) => {
    expect(readTrackingLine(JSON.stringify(line))).toEqual(want);
  });

  test.each(["", '{"time":"2026-01-02T03:04:05.678Z","ev', '{"time":"2026"}', "null"])(
    "%j is none",
    (line) => {
      expect(readTrackingLine(line)).toEqual([]);
    },
  );
});
