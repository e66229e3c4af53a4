import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeLine, parseCommand, parseHelo, parsePath, parsePathArgument } from "./command.ts";

describe("parseCommand()", () => {
  test.each([
    { name: "a verb alone has no arguments", line: "quit", want: { verb: "QUIT", args: "" } },
    { name: "spaces at the end are no argument", line: "DATA  ", want: { verb: "DATA", args: "" } },
    { name: "arguments keep their case", line: "ehlo Me", want: { verb: "EHLO", args: "Me" } },
    { name: "an empty line has no verb", line: "", want: { verb: "", args: "" } },
  ])("$name", ({ line, want }) => {
    expect(parseCommand(line)).toEqual(want);
  });
});

describe("decodeLine()", () => {
  test.each([
    { name: "ASCII is text", octets: Buffer.from("NOOP"), want: "NOOP" },
    { name: "UTF-8 is text", octets: Buffer.from("MAIL FROM:<jörg@x>"), want: "MAIL FROM:<jörg@x>" },
    { name: "broken UTF-8 is not", octets: Buffer.from([0x41, 0xff]), want: undefined },
    { name: "overlong UTF-8 is not", octets: Buffer.from([0xc0, 0x80]), want: undefined },
    { name: "a NUL is not", octets: Buffer.from("NO\0OP"), want: undefined },
    { name: "a bare CR is not", octets: Buffer.from("NOOP\rQUIT"), want: undefined },
    { name: "a C1 control character is not", octets: Buffer.from("A\u0085B"), want: undefined },
  ])("$name", ({ octets, want }) => {
    expect(decodeLine(octets)).toBe(want);
  });
});

describe("parsePathArgument()", () => {
  const none: never[] = [];
  test.each([
    { name: "a path", args: "FROM:<a@b.example>", path: "a@b.example", parameters: none },
    { name: "the null path", args: "from:<>", path: "", parameters: none },
    { name: "a space after the colon is forgiven", args: "FROM: <a@b>", path: "a@b", parameters: none },
    {
      name: "a quoted local part may hold > and a space",
      args: 'FROM:<"a> b"@c>',
      path: '"a> b"@c',
      parameters: none,
    },
    {
      name: "an escaped quote does not end it",
      args: 'FROM:<"a\\"> b"@c>',
      path: '"a\\"> b"@c',
      parameters: none,
    },
    { name: "a source route is dropped", args: "FROM:<@a.example,@b:c@d>", path: "c@d", parameters: none },
    {
      name: "parameters follow",
      args: "FROM:<a@b> size=9 SMTPUTF8",
      path: "a@b",
      parameters: [
        { keyword: "SIZE", value: "9" },
        { keyword: "SMTPUTF8", value: undefined },
      ],
    },
  ])("$name", ({ args, path, parameters }) => {
    expect(parsePathArgument("FROM", args)).toEqual({ path, parameters });
  });

  test.each([
    { name: "no brackets", args: "FROM:a@b" },
    { name: "no colon", args: "FROM <a@b>" },
    { name: "the wrong keyword", args: "TO:<a@b>" },
    { name: "an open bracket", args: "FROM:<a@b" },
    { name: "a bracket in the path", args: "FROM:<a<@b>" },
    { name: "text behind the path", args: "FROM:<a@b>SIZE=1" },
    { name: "an equals sign in a value", args: "FROM:<a@b> ENVID=a=b" },
    { name: "an empty value", args: "FROM:<a@b> SIZE=" },
    { name: "a keyword that is none", args: "FROM:<a@b> -x" },
    { name: "nothing", args: "" },
  ])("$name is no path", ({ args }) => {
    expect(parsePathArgument("FROM", args)).toBeUndefined();
  });

  test("whatever comes, the path never holds a bracket outside quotes, and nothing is thrown", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'<>@"\\ aA=:,.é') }), (text) => {
        const found = parsePathArgument("FROM", `FROM:<${text}`);
        expect(found?.path.replace(/"(?:[^"\\]|\\.)*"/g, "") ?? "").not.toMatch(/[<> ]/);
      }),
    );
  });
});

describe("parsePath()", () => {
  test.each([
    {
      name: "quotes are taken off",
      path: '"john doe"@x.example',
      want: { localPart: "john doe", domain: "x.example" },
    },
    {
      name: "an IDN becomes A-labels",
      path: "a@bücher.example",
      want: { localPart: "a", domain: "xn--bcher-kva.example" },
    },
    {
      name: "an address literal stays",
      path: "a@[192.0.2.1]",
      want: { localPart: "a", domain: "[192.0.2.1]" },
    },
    { name: "postmaster needs no domain", path: "PostMaster", want: { localPart: "PostMaster", domain: "" } },
    { name: "another name does", path: "root", want: undefined },
    { name: "a path of over 256 octets is none", path: `a@${"b.".repeat(130)}c`, want: undefined },
  ])("$name", ({ path, want }) => {
    expect(parsePath(path)).toEqual(want);
  });
});

describe("parseHelo()", () => {
  test.each([
    { name: "a domain", args: "mx.example", want: "mx.example" },
    { name: "a literal", args: "[192.0.2.1]", want: "[192.0.2.1]" },
    { name: "a Windows name with an underscore", args: "MY_PC", want: "MY_PC" },
    { name: "nothing is refused", args: "", want: undefined },
    { name: "two words are refused", args: "a b", want: undefined },
  ])("$name", ({ args, want }) => {
    expect(parseHelo(args)).toBe(want);
  });
});
