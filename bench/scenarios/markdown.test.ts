import { describe, expect, test } from "vitest";
import { findingsMarkdown, markdownOf, tableMarkdown } from "./markdown.ts";

const findings = {
  tables: [{ columns: ["a", "b"], rows: [["1", "x | y"]] }],
  goals: [
    { what: "rate", goal: ">= 90 %", measured: "95 %", isMet: true },
    { what: "memory", goal: "<= 300 MB", measured: "310 MB", isMet: false },
    { what: "peer", goal: ">= 2 x", measured: "none", isMet: undefined },
  ],
  raw: {},
  notes: ["A note."],
};

describe("Markdown of scenarios", () => {
  test("a bar within a cell does not end it", () => {
    expect(tableMarkdown(findings.tables[0]!)).toBe("| a | b |\n|---|---|\n| 1 | x \\| y |");
  });

  test("a goal is met, missed or not measured", () => {
    expect(findingsMarkdown(findings).split("\n").slice(4)).toEqual([
      "| goal | wanted | measured |  |",
      "|---|---|---|---|",
      "| rate | >= 90 % | 95 % | met |",
      "| memory | <= 300 MB | 310 MB | MISSED |",
      "| peer | >= 2 x | none | not measured |",
      "",
      "A note.",
    ]);
  });

  test("scenarios stand in their order with date, command and machine, those without results say so", () => {
    const recorded = {
      findings,
      at: "2026-11-22T03:04:05.678Z",
      machine: ["2 cores", "ext4"],
      command: "npm run bench:scenarios",
      seconds: 61.4,
    };
    const scenarios = ["rules", "reload", "latency"].map((name) => ({
      name,
      title: `T ${name}`,
      reading: "R",
    }));
    const text = markdownOf(scenarios, { latency: recorded, rules: recorded });
    expect(text.match(/^## .*$/gm)).toEqual(["## T rules", "## T reload", "## T latency"]);
    expect(text).toContain("## T reload\nR\n\nNot measured yet: `npm run bench:scenarios -- reload`.");
    expect(text).toContain("`npm run bench:scenarios`, 2026-11-22 03:04 UTC, 61 s; 2 cores; ext4.");
  });
});
