import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { domainAndParents, isAddressLiteral, isSameOrSubdomain, toALabel } from "./domain.ts";

describe("toALabel()", () => {
  test.each([
    { name: "names go to lower case", text: "EXAMPLE.Com", want: "example.com" },
    { name: "a final dot goes", text: "example.com.", want: "example.com" },
    { name: "U-labels become A-labels", text: "Bücher.example", want: "xn--bcher-kva.example" },
    { name: "underscores are met in the wild", text: "_dmarc.example.com", want: "_dmarc.example.com" },
    { name: "a single label is a name", text: "localhost", want: "localhost" },
    { name: "a label of 63 is a name", text: `${"a".repeat(63)}.example`, want: `${"a".repeat(63)}.example` },
    { name: "a label of 64 is none", text: `${"a".repeat(64)}.example`, want: undefined },
    { name: "254 characters are none", text: `${"a.".repeat(123)}exa.mple`, want: undefined },
    { name: "an empty label is none", text: "a..b", want: undefined },
    { name: "a hyphen first is none", text: "-a.example", want: undefined },
    { name: "a hyphen last is none", text: "a-.example", want: undefined },
    { name: "white space is none", text: "a b.example", want: undefined },
    { name: "a line break is none", text: "a.example\n", want: undefined },
    { name: "a line break in a U-label is none", text: "b\u00fc\ncher.example", want: undefined },
    { name: "a percent sign is none", text: "b\u00fc%63her.example", want: undefined },
    { name: "nothing is none", text: "", want: undefined },
    { name: "a dot is none", text: ".", want: undefined },
    { name: "a literal is none", text: "[192.0.2.1]", want: undefined },
  ])("$name", ({ text, want }) => {
    expect(toALabel(text)).toBe(want);
  });

  test("what comes out goes in again and stays", () => {
    fc.assert(
      fc.property(fc.oneof(fc.domain(), fc.string({ unit: "grapheme" })), (text) => {
        const name = toALabel(text);
        if (name !== undefined) expect(toALabel(name)).toBe(name);
      }),
    );
  });
});

test("a domain and its parents, most specific first", () => {
  expect(domainAndParents("a.b.c")).toEqual(["a.b.c", "b.c", "c"]);
});

test.each([
  { name: "itself", domain: "x.example", parent: "x.example", want: true },
  { name: "below", domain: "a.x.example", parent: "x.example", want: true },
  { name: "a suffix is not below", domain: "ax.example", parent: "x.example", want: false },
  { name: "above is not below", domain: "example", parent: "x.example", want: false },
])("isSameOrSubdomain(): $name", ({ domain, parent, want }) => {
  expect(isSameOrSubdomain(domain, parent)).toBe(want);
});

test.each([
  ["[192.0.2.1]", true],
  ["[IPv6:::1]", true],
  ["[tag:value]", true],
  ["192.0.2.1", false],
  ["[a b]", false],
  ["[]", false],
])("isAddressLiteral(%j) is %j", (text, want) => {
  expect(isAddressLiteral(text)).toBe(want);
});
