import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatAddress } from "./address.ts";
import { parseAddressList } from "./address-list.ts";

describe("parseAddressList()", () => {
  test.each([
    { name: "a bare address", value: "ann@example.com", want: ["ann@example.com"] },
    { name: "a name and brackets", value: "Ann <ann@example.com>", want: ["ann@example.com"] },
    { name: "several", value: "a@x.example, B <b@x.example>", want: ["a@x.example", "b@x.example"] },
    { name: "a comma in a quoted name", value: '"Doe, Ann" <a@x.example>', want: ["a@x.example"] },
    {
      name: "an address in a quoted name is a name",
      value: '"e@evil.example" <a@x.example>',
      want: ["a@x.example"],
    },
    {
      name: "an address in a bare name is a name",
      value: "e@evil.example <a@x.example>",
      want: ["a@x.example"],
    },
    {
      name: "an escaped quote in a name",
      value: '"A \\" <e@e.example>, B" <a@x.example>',
      want: ["a@x.example"],
    },
    { name: "a comment after an address", value: "a@x.example (Ann, (nested))", want: ["a@x.example"] },
    { name: "a comment inside an address", value: "a(c)@(d)x.example", want: ["a@x.example"] },
    { name: "white space around the parts", value: "a @ x . example", want: ["a@x.example"] },
    { name: "a group", value: "Team: a@x.example, b@x.example;", want: ["a@x.example", "b@x.example"] },
    { name: "an empty group", value: "undisclosed-recipients:;", want: [] },
    {
      name: "a group and more",
      value: "T: a@x.example; , b@y.example",
      want: ["a@x.example", "b@y.example"],
    },
    { name: "a source route", value: "<@r.example,@s.example:a@x.example>", want: ["a@x.example"] },
    {
      name: "semicolons as dividers",
      value: "a@x.example; b@x.example",
      want: ["a@x.example", "b@x.example"],
    },
    { name: "a domain literal", value: "<a@[IPv6:2001:db8::1]>", want: ["a@[IPv6:2001:db8::1]"] },
    { name: "a quoted local part", value: '<"a b, c"@x.example>', want: ['"a b, c"@x.example'] },
    { name: "a UTF-8 address", value: "<gr\xc3\xbcn@x.example>", want: ["grün@x.example"] },
    { name: "a name after the address", value: "a@x.example Ann", want: ["a@x.example"] },
    { name: "a missing closing bracket", value: "Ann <a@x.example", want: ["a@x.example"] },
    { name: "the null path", value: "<>", want: [] },
    { name: "an unfinished quote", value: '"Ann <a@x.example>', want: [] },
    { name: "nothing", value: "", want: [] },
    { name: "no address", value: "Ann, Bob", want: [] },
  ])("finds the addresses of: $name", ({ value, want }) => {
    expect(parseAddressList(value).map(formatAddress)).toEqual(want);
  });

  test.each(["(", '"', "<", ",", "@", "a@b.example,", ' "', "\\", ":", "[", ". ", "<@", "( \\) ", " "])(
    "a megabyte of %j is linear",
    (piece) => {
      const start = performance.now();
      parseAddressList(piece.repeat(Math.ceil(1_000_000 / piece.length)));
      expect(performance.now() - start).toBeLessThan(10_000);
    },
  );

  test("any octets give a list, never an error", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom(...'a@.,;:<>()[]"\\ \xc3\xbc'), maxLength: 60 }),
        (value) => {
          expect(Array.isArray(parseAddressList(value))).toBe(true);
        },
      ),
      { numRuns: 2000 },
    );
  });
});
