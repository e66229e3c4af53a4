import { describe, expect, test } from "vitest";
import { reply } from "../../mail/reply.ts";
import { formatLines } from "./reply-lines.ts";

describe("formatLines()", () => {
  test.each([
    { name: "one line", answer: reply(250, "2.0.0", "OK"), want: ["250 2.0.0 OK"] },
    { name: "no status", answer: reply(354, undefined, "Go"), want: ["354 Go"] },
    {
      name: "the status stands on every line",
      answer: reply(550, "5.7.1", ["a", "b"]),
      want: ["550-5.7.1 a", "550 5.7.1 b"],
    },
    {
      name: "a text that would split the reply does not",
      answer: reply(550, "5.7.1", "a\r\n250 OK"),
      want: ["550 5.7.1 a 250 OK"],
    },
    { name: "what is not ASCII is replaced", answer: reply(550, "5.7.1", "né"), want: ["550 5.7.1 n?"] },
    { name: "no text is a line all the same", answer: reply(250, undefined, []), want: ["250 "] },
  ])("$name", ({ answer, want }) => {
    expect(formatLines(answer)).toEqual(want);
  });

  test("a long text becomes lines of at most 512 octets", () => {
    const lines = formatLines(reply(550, "5.7.999", "x".repeat(2000)));
    expect(Math.max(...lines.map((line) => line.length + 2))).toBeLessThanOrEqual(512);
    expect(lines.join("").replace(/[^x]/g, "")).toHaveLength(2000);
  });
});
