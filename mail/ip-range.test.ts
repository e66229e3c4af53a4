import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseIp, parseIpRange, rangeContains, rangeSize } from "./ip-range.ts";

describe("parseIpRange()", () => {
  test.each([
    { name: "one address", text: "192.0.2.1", size: 1n, inside: "192.0.2.1", outside: "192.0.2.2" },
    { name: "a CIDR", text: "192.0.2.0/24", size: 256n, inside: "192.0.2.255", outside: "192.0.3.0" },
    {
      name: "a CIDR with host bits",
      text: "192.0.2.9/24",
      size: 256n,
      inside: "192.0.2.0",
      outside: "192.0.1.9",
    },
    {
      name: "first to last",
      text: "192.0.2.1 - 192.0.2.9",
      size: 9n,
      inside: "192.0.2.9",
      outside: "192.0.2.10",
    },
    { name: "everything", text: "0.0.0.0/0", size: 2n ** 32n, inside: "255.255.255.255", outside: "::1" },
    { name: "IPv6", text: "2001:db8::/32", size: 2n ** 96n, inside: "2001:DB8::1", outside: "2001:db9::" },
    {
      name: "mapped is IPv4",
      text: "::ffff:10.0.0.0/104",
      size: 2n ** 24n,
      inside: "10.9.9.9",
      outside: "11.0.0.0",
    },
    {
      name: "a mapped client is IPv4",
      text: "10.0.0.0/8",
      size: 2n ** 24n,
      inside: "::ffff:10.0.0.1",
      outside: "::1",
    },
  ])("$name", ({ text, size, inside, outside }) => {
    const range = parseIpRange(text)!;
    expect(rangeSize(range)).toBe(size);
    expect(rangeContains(range, parseIp(inside)!)).toBe(true);
    expect(rangeContains(range, parseIp(outside)!)).toBe(false);
  });

  test.each([
    "",
    "a",
    "192.0.2",
    "192.0.2.256",
    "192.0.2.01",
    "192.0.2.0/33",
    "192.0.2.0/",
    "192.0.2.0/24/3",
    "::/129",
    "::ffff:10.0.0.0/90",
    "192.0.2.9-192.0.2.1",
    "192.0.2.1-::1",
    "1.1.1.1-2.2.2.2-3.3.3.3",
    "0x7f.1",
    "1".repeat(1e6),
  ])("%.40j is no range", (text) => {
    expect(parseIpRange(text)).toBeUndefined();
  });

  test("four decimal parts are an address of four octets, and nothing else is", () => {
    const part = fc.oneof(fc.nat(300).map(String), fc.constantFrom("00", "01", "", "1e1", " 1", "+1"));
    fc.assert(
      fc.property(fc.array(part, { minLength: 3, maxLength: 5 }), (parts) => {
        const isAddress =
          parts.length === 4 && parts.every((text) => /^(0|[1-9]\d*)$/.test(text) && Number(text) < 256);
        const value = parts.reduce((sum, text) => sum * 256n + BigInt(Number.parseInt(text, 10) || 0), 0n);
        expect(parseIp(parts.join("."))).toEqual(isAddress ? { family: 4, value } : undefined);
      }),
    );
  });

  test("a prefix holds exactly the addresses that share its bits", () => {
    fc.assert(
      fc.property(fc.ipV4(), fc.ipV4(), fc.nat(32), (a, b, bits) => {
        const shift = BigInt(32 - bits);
        const same = parseIp(a)!.value >> shift === parseIp(b)!.value >> shift;
        expect(rangeContains(parseIpRange(`${a}/${bits}`)!, parseIp(b)!)).toBe(same);
      }),
    );
  });
});
