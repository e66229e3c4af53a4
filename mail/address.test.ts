import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  addressKey,
  formatAddress,
  formatPath,
  isUtf8Address,
  parseAddress,
  parseLocalPart,
} from "./address.ts";

describe("parseAddress()", () => {
  test.each([
    { name: "a plain mailbox", text: "ann@example.com", want: "ann@example.com" },
    {
      name: "the domain goes to lower case, the local part stays",
      text: "Ann@EXAMPLE.com",
      want: "Ann@example.com",
    },
    { name: "a final dot goes", text: "a@example.com.", want: "a@example.com" },
    { name: "quotes that are not needed go", text: '"ann"@example.com', want: "ann@example.com" },
    { name: "quotes that are needed stay", text: '"a b"@example.com', want: '"a b"@example.com' },
    { name: "an @ in quotes", text: '"a@b"@example.com', want: '"a@b"@example.com' },
    { name: "an escaped quote", text: '"a\\"b"@example.com', want: '"a\\"b"@example.com' },
    { name: "the empty quoted local part", text: '""@example.com', want: '""@example.com' },
    { name: "an IPv4 literal", text: "a@[192.0.2.1]", want: "a@[192.0.2.1]" },
    { name: "an IPv6 literal has one spelling", text: "a@[ipv6:2001:DB8::1]", want: "a@[IPv6:2001:db8::1]" },
    { name: "a U-label becomes an A-label", text: "a@bücher.example", want: "a@xn--bcher-kva.example" },
    { name: "a UTF-8 local part", text: "grün@example.com", want: "grün@example.com" },
    {
      name: "64 octets of local part",
      text: `${"a".repeat(64)}@x.example`,
      want: `${"a".repeat(64)}@x.example`,
    },
    { name: "65 octets of local part are none", text: `${"a".repeat(65)}@x.example`, want: undefined },
    { name: "33 characters of 2 octets are none", text: `${"ü".repeat(33)}@x.example`, want: undefined },
    { name: "a long domain is none", text: `a@${"a.".repeat(200)}example`, want: undefined },
    { name: "two dots are none", text: "a..b@example.com", want: undefined },
    { name: "no local part is none", text: "@example.com", want: undefined },
    { name: "no domain is none", text: "ann@", want: undefined },
    { name: "white space is none", text: "a b@example.com", want: undefined },
    { name: "a line break is none", text: "a\r\n@example.com", want: undefined },
    { name: "a quoted line break is none", text: '"a\r\nb"@example.com', want: undefined },
    { name: "brackets are none", text: "<a@example.com>", want: undefined },
    { name: "a percent sign is a character like others", text: "a%b@example.com", want: "a%b@example.com" },
  ])("$name", ({ text, want }) => {
    const address = parseAddress(text);
    expect(address && formatAddress(address)).toBe(want);
  });

  test("every parsed address is written so that it parses to itself", () => {
    const local = fc.string({ unit: fc.constantFrom(...'ab.@"\\ <>(),;:[]ü'), minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(local, fc.boolean(), fc.domain(), (text, quoted, domain) => {
        const written = quoted ? `"${text.replace(/["\\]/g, "\\$&")}"` : text;
        const address = parseAddress(`${written}@${domain}`);
        if (quoted) expect(address?.localPart).toBe(text);
        if (address !== undefined) expect(parseAddress(formatAddress(address))).toEqual(address);
      }),
    );
  });

  test("a megabyte of hostile text is refused at once", () => {
    const start = performance.now();
    for (const piece of ["a.", '"\\', "ü", "@", "[1"]) {
      expect(parseAddress(`a@${piece.repeat(500_000)}`)).toBeUndefined();
      expect(parseAddress(`${piece.repeat(500_000)}@a`)).toBeUndefined();
    }
    expect(performance.now() - start).toBeLessThan(10_000);
  });
});

test("keys ignore case, paths show the null sender, postmaster needs no domain", () => {
  expect(addressKey({ localPart: "Ann", domain: "x.example" })).toBe("ann@x.example");
  expect(formatPath(null)).toBe("");
  expect(formatAddress({ localPart: "postmaster", domain: "" })).toBe("postmaster");
  expect(isUtf8Address({ localPart: "grün", domain: "x.example" })).toBe(true);
  expect(isUtf8Address({ localPart: "ann", domain: "x.example" })).toBe(false);
  expect(parseLocalPart('"a b"')).toBe("a b");
});
