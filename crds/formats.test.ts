import fc from "fast-check";
import { RE2JS } from "re2js";
import { describe, expect, test } from "vitest";
import type { z } from "zod";
import { Duration, Quantity, Time } from "./common.ts";
import * as formats from "./formats.ts";
import { formatOf } from "./validation.ts";

const {
  AddressPattern,
  AddressSpaceDomain,
  AddressText,
  DomainPattern,
  DomainText,
  HostText,
  IpRangeText,
  IpText,
} = formats;

/** The pattern by which the API server checks a format, run as it runs it. */
function patternOf(schema: z.ZodType): RE2JS {
  const check = formatOf(schema.meta() ?? {})?.checks.find((one) => "pattern" in one);
  return RE2JS.compile(check?.pattern ?? "");
}

const label = fc.stringMatching(/^[a-zA-Z0-9_üß漢-]{1,8}$/);
const domain = fc
  .tuple(fc.array(label, { minLength: 1, maxLength: 4 }), fc.constantFrom("", ".", "。example"))
  .map(([labels, end]) => labels.join(".") + end);
const ip = fc.oneof(fc.ipV4(), fc.ipV6());
const local = fc.oneof(
  fc.stringMatching(/^[a-z.!#$%&'*+/=?^_`{|}~ü-]{1,10}$/),
  fc.stringMatching(/^"[ -~ü]{0,10}"$/),
);
const host = fc.oneof(
  domain,
  ip.map((text) => `[${text}]`),
  ip.map((text) => `[IPv6:${text}]`),
);
const address = fc.tuple(local, host).map(([name, at]) => `${name}@${at}`);
const front = fc.constantFrom("", "*.", "*@", "*");
const near = fc.oneof(
  fc.tuple(front, fc.oneof(domain, address, host, ip)).map((parts) => parts.join("")),
  fc.tuple(ip, fc.constantFrom("-", "/"), fc.oneof(ip, fc.nat({ max: 130 }))).map((parts) => parts.join("")),
  fc.stringMatching(/^[0-9.]{1,5}(ms|s|m|h|d|Ki|Mi|G|)([0-9]{1,3}(s|h|ms))?$/),
  fc.date({ noInvalidDate: true, min: new Date(0) }).map((date) => date.toISOString()),
  fc.string({ unit: "grapheme", maxLength: 20 }),
);

describe("a format", () => {
  test.each([
    { name: "address", schema: AddressText },
    { name: "address pattern", schema: AddressPattern },
    { name: "domain", schema: DomainText },
    { name: "domain pattern", schema: DomainPattern },
    { name: "address space", schema: AddressSpaceDomain },
    { name: "host", schema: HostText },
    { name: "range", schema: IpRangeText },
    { name: "quantity", schema: Quantity },
    { name: "duration", schema: Duration },
    { name: "time", schema: Time },
  ])("$name: what the schema takes, the API server's pattern takes", ({ schema }) => {
    const pattern = patternOf(schema);
    let taken = 0;
    fc.assert(
      fc.property(near, (text) => {
        if (!schema.safeParse(text).success) return;
        taken += 1;
        expect([text, pattern.matcher(text).find()]).toEqual([text, true]);
      }),
      { numRuns: 3000 },
    );
    expect(taken).toBeGreaterThan(20);
  });

  test.each([
    { name: "a zone is no part of an address", schema: IpText, text: "fe80::1%eth0" },
    { name: "an IPv4 address is not written as IPv6", schema: IpText, text: "::ffff:10.0.0.1" },
    { name: "not in hexadecimal either", schema: IpText, text: "::ffff:a00:1" },
    { name: "a range holds no blanks", schema: IpRangeText, text: "10.0.0.1 - 10.0.0.9" },
    { name: "a prefix length begins with no 0", schema: IpRangeText, text: "10.0.0.0/08" },
    { name: "an address is no CIDR", schema: formats.CidrText, text: "10.0.0.0" },
    { name: "a duration is no finer than a millisecond", schema: Duration, text: "0.5ms" },
    { name: "nor in seconds", schema: Duration, text: "0.0005s" },
  ])("$name: $text is refused", ({ schema, text }) => {
    expect(schema.safeParse(text).success).toBe(false);
  });
});
