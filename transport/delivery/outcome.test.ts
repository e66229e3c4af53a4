import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { recipient } from "../../test/helpers/delivery.ts";
import { clean, outcomeOf, type Phase, parseRemoteReply, verdictOf } from "./outcome.ts";

describe("parseRemoteReply()", () => {
  test.each([
    {
      name: "code and status",
      raw: "550 5.1.1 No such user",
      want: { code: 550, status: "5.1.1", text: "550 5.1.1 No such user" },
    },
    { name: "a code alone", raw: "250", want: { code: 250, status: "2.0.0", text: "250" } },
    {
      name: "lines are joined, their prefixes dropped",
      raw: "550-5.7.1 Because\n550 5.7.1 of policy",
      want: { code: 550, status: "5.7.1", text: "550 5.7.1 Because of policy" },
    },
    {
      name: "a status that is part of a longer number is none",
      raw: "550 5.1.1.1 what",
      want: { code: 550, status: "5.0.0", text: "550 5.1.1.1 what" },
    },
    {
      name: "an address is no status",
      raw: "550 5.6.7.8 blocked",
      want: { code: 550, status: "5.0.0", text: "550 5.6.7.8 blocked" },
    },
    {
      name: "552 without status is about size",
      raw: "552 too big",
      want: { code: 552, status: "5.3.4", text: "552 too big" },
    },
  ])("$name", ({ raw, want }) => {
    expect(parseRemoteReply(raw)).toEqual(want);
  });

  test.each(["", "ok", "25", "2500 x", "650 x", "150 x", "\u0000250 x", " 250 x"])("%j is garbage", (raw) => {
    expect(parseRemoteReply(raw)).toBeUndefined();
  });

  test("whatever comes, the text is one short line and the status fits the code", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 200, max: 599 }),
        fc.string({ unit: "binary", maxLength: 3000 }),
        (code, text) => {
          const reply = parseRemoteReply(`${code} ${text}`);
          expect(reply?.text).not.toMatch(/[\x00-\x1f\x7f]/);
          expect(reply?.text.length).toBeLessThanOrEqual(501);
          expect(reply?.status[0]).toBe(String(code)[0]);
        },
      ),
    );
  });
});

describe("parseRemoteReply() of one line in ASCII", () => {
  test("finds what it finds in any other reply", () => {
    const part = fc.constantFrom(
      "250",
      "354",
      "550",
      "1",
      " ",
      "-",
      "2.1.5",
      "5.1.1",
      "3.0.0",
      ".",
      "é",
      "ok",
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 6 }), (parts) => {
        const raw = parts.join("");
        // A control at the end becomes white space at the end.
        expect(parseRemoteReply(raw)).toEqual(parseRemoteReply(`${raw}\0`.replace(/^(\d{3})\0$/, "$1")));
      }),
      { numRuns: 3000 },
    );
  });
});

describe("verdictOf()", () => {
  const at = (phase: Phase, raw: string) => ({
    phase,
    answer: parseRemoteReply(raw) ?? { lost: true as const, reason: "x" },
  });
  test.each([
    { name: "2yz to the content is done", answer: at("final", "250 ok"), want: "done" },
    { name: "5yz anywhere fails", answer: at("mail", "550 no"), want: "failed" },
    { name: "4yz may go elsewhere", answer: at("rcpt", "450 later"), want: "elsewhere" },
    { name: "a loss before the content may go elsewhere", answer: at("data", ""), want: "elsewhere" },
    { name: "a loss after it may not", answer: at("final", ""), want: "deferred" },
    { name: "3yz to the content is no acceptance", answer: at("final", "354 go on"), want: "deferred" },
    {
      name: "too many recipients: again, when some were taken",
      answer: at("rcpt", "452 4.5.3 too many"),
      accepted: 1,
      want: "again",
    },
    {
      name: "in the words of old servers too",
      answer: at("rcpt", "552 Too many recipients"),
      accepted: 1,
      want: "again",
    },
    {
      name: "but not when none was taken",
      answer: at("rcpt", "452 4.5.3 too many"),
      accepted: 0,
      want: "elsewhere",
    },
    {
      name: "452 for want of space is no such thing",
      answer: at("rcpt", "452 4.3.1 disk full"),
      accepted: 1,
      want: "elsewhere",
    },
  ])("$name", ({ answer, accepted = 0, want }) => {
    expect(verdictOf(answer, accepted)).toBe(want);
  });
});

describe("outcomeOf()", () => {
  const ann = recipient("ann@x.example");
  const answer = { phase: "final", answer: { code: 250, status: "2.0.0", text: "250 ok" } } as const;
  test.each([
    { name: "LMTP delivers", traits: { lmtp: true, dsn: true }, want: "delivered" },
    { name: "a host with DSN takes over reporting", traits: { lmtp: false, dsn: true }, want: "relayed" },
    { name: "one without does not", traits: { lmtp: false, dsn: false }, want: "relayed-no-dsn" },
  ])("$name", ({ traits, want }) => {
    expect(outcomeOf(ann, answer, { remoteMta: "mx", ...traits }).result).toBe(want);
  });
});

describe("clean()", () => {
  test("controls become spaces", () => {
    expect(clean("a\r\nb\u0000\u0085c")).toBe("a b c");
  });
});
