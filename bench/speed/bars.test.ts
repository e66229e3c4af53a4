import { describe, expect, test } from "vitest";
import { type Bar, barPlot } from "./bars.ts";

const fast: Bar = {
  label: "fast",
  tone: "ours",
  note: "200/s",
  value: { median: 200, least: 150, most: 400 },
};
const slow: Bar = {
  label: "slow",
  tone: "other",
  note: "100/s",
  value: { median: 100, least: 100, most: 100 },
};
const none: Bar = { label: "none", tone: "other", note: "failed" };

function plotOf(...groups: (readonly Bar[])[]): string {
  return barPlot({
    title: "T",
    subtitle: "S",
    groups: groups.map((bars, n) => ({ title: `group ${n}`, bars })),
  });
}

function widthsOf(svg: string): number[] {
  return [...svg.matchAll(/<rect class="(?:ours|reference|other)"[^>]* width="([\d.]+)"/g)].map(([, width]) =>
    Number(width),
  );
}

describe("barPlot()", () => {
  test("lengths within a group are as the values", () => {
    const [first = 0, second = 0] = widthsOf(plotOf([fast, slow]));
    expect(first).toBeGreaterThan(0);
    expect(first / second).toBeCloseTo(2, 1);
  });

  test("the longest spread fills the width, whatever the scale of other groups", () => {
    const thousandfold = { ...fast, value: { median: 2e5, least: 1.5e5, most: 4e5 } };
    expect(widthsOf(plotOf([fast], [thousandfold]))).toEqual([260, 260]);
  });

  test("the spread runs from the least to the most", () => {
    expect(plotOf([fast])).toContain('d="M385 108H710M385 104v8M710 104v8"');
  });

  test("what has no value is a name and a note", () => {
    const svg = plotOf([none]);
    expect(widthsOf(svg)).toEqual([]);
    expect(svg).toContain(">none</text>");
    expect(svg).toContain(">failed</text>");
  });

  test("names are text, not marks", () => {
    const svg = plotOf([{ ...none, label: "a <b> & c" }]);
    expect(svg).toContain("a &#60;b&#62; &#38; c");
  });

  test("every group has room below the one before", () => {
    const tops = [...plotOf([fast, slow], [fast]).matchAll(/class="group" x="16" y="(\d+)"/g)].map(([, y]) =>
      Number(y),
    );
    expect(tops).toEqual([88, 176]);
  });

  test("it has colours for light and dark ground", () => {
    expect(plotOf([fast])).toContain("@media(prefers-color-scheme:dark)");
  });
});
