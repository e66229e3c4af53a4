import { describe, expect, test } from "vitest";
import { CASES } from "./cases.ts";
import { markdownTable } from "./markdown.ts";
import { plotOf } from "./plot.ts";
import { reportOf } from "./report.ts";
import type { Row, SpeedResult } from "./result.ts";

const [kept] = CASES;
if (kept === undefined) throw new Error("No cases");

function runs(...rates: number[]): Row["runs"] {
  return rates.map((rate) => ({ messages: rate * 2, seconds: 2, cpuSeconds: rate / 1000 }));
}

const RESULT: SpeedResult = {
  date: "2026-11-22T03:40:00.000Z",
  minutes: 12.5,
  command: "npm run bench",
  machine: {
    processor: "P",
    cores: 2,
    memoryGigabytes: 24,
    kernel: "Linux 6",
    distribution: "Debian 12",
    node: "v26",
    disk: "ext4 on /dev/vda (rw)",
    loadBefore: 0.1,
  },
  peers: [
    { name: "Postroom", kind: "ours", version: "1", durability: "fdatasync" },
    { name: "Postfix", kind: "other", version: "3", durability: "fsync" },
    { name: "Haraka", kind: "other", version: "3", durability: "fsync" },
    { name: "Exim", kind: "other", version: "4", durability: "fsync" },
    { name: "no relay", kind: "none", version: "", durability: "" },
  ],
  skipped: ["peer OpenSMTPD: needs root"],
  cases: [
    {
      case: kept,
      load: "smtp-source",
      rows: [
        { peer: "Postroom", runs: runs(2000, 1900, 2500), memoryMegabytes: 99.6 },
        { peer: "Postfix", runs: runs(400, 500, 450) },
        { peer: "Haraka", runs: runs(500) },
        { peer: "Exim", runs: [], failure: "stalled | twice" },
        { peer: "no relay", runs: [{ messages: 9000, seconds: 1 }] },
      ],
    },
  ],
};

const report = reportOf(RESULT, { reference: "Postfix", plot: "speed.svg" });

describe("reportOf()", () => {
  test.each([
    {
      name: "medians, spread, count, both ratios, CPU and memory",
      line: "| Postroom | 2,000 | 1,900 to 2,500 | 3 of 4,267 | 4.44 | 4.00 | 500 | 100 |",
    },
    {
      name: "fewer runs than others are said to be slow",
      line: "| Haraka | 500 | 500 to 500 | 1 of 1,000, slow | 1.11 | 1.00 | 500 |  |",
    },
    { name: "a failure is a row", line: "| Exim | failed: stalled \\| twice |  | 0 |  |  |  |  |" },
    {
      name: "the ceiling is no server to be the best",
      line: "| no relay | 9,000 | 9,000 to 9,000 | 1 of 9,000, slow | 20.00 | 18.00 |  |  |",
    },
    { name: "the summary has a line a case", line: `| ${kept?.title} | 4.44 | 4.00 | Haraka |` },
    { name: "what was skipped is said", line: "SKIPPED: peer OpenSMTPD: needs root" },
  ])("$name", ({ line }) => expect(report.split("\n")).toContain(line));
});

describe("plotOf()", () => {
  const [group] = plotOf(RESULT, "Postfix").groups;

  test("the ceiling is not drawn", () =>
    expect(group?.bars.map(({ label }) => label)).toEqual(["Postroom", "Postfix", "Haraka", "Exim"]));
  test("ours, the reference and the others have tones of their own", () =>
    expect(group?.bars.map(({ tone }) => tone)).toEqual(["ours", "reference", "other", "other"]));
  test("a note gives the rate and the ratio, or says that there is none", () =>
    expect(group?.bars.map(({ note }) => note)).toEqual([
      "2,000/s, x 4.4",
      "450/s, x 1.0",
      "500/s, x 1.1",
      "failed",
    ]));
});

describe("markdownTable()", () => {
  test("a bar in a cell stays in the cell", () =>
    expect(markdownTable(["a"], [["x|y"]])).toBe("| a |\n|---|\n| x\\|y |"));
});
