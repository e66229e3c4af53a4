import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseAddress } from "./address.ts";
import { parseAddressList } from "./address-list.ts";
import { decodeHeaderText } from "./encoded-word.ts";
import { formatHeader, headerValues, parseHeader } from "./header.ts";
import { addAddressTo, prependSubject } from "./subject.ts";

const prepend = (lines: string, text: string) => formatHeader(prependSubject(parseHeader(lines), text));

describe("prependSubject()", () => {
  test.each([
    {
      name: "plain before plain",
      lines: "Subject: Lunch\r\n",
      text: "[EXT]",
      want: "Subject: [EXT] Lunch\r\n",
    },
    {
      name: "a space of the rule's own is not doubled",
      lines: "Subject: Lunch\r\n",
      text: "[EXT] ",
      want: "Subject: [EXT] Lunch\r\n",
    },
    {
      name: "plain before an encoded word",
      lines: "Subject: =?utf-8?q?=C3=BC?=\r\n",
      text: "[EXT]",
      want: "Subject: [EXT] =?utf-8?q?=C3=BC?=\r\n",
    },
    {
      name: "encoded before plain",
      lines: "Subject: Lunch\r\n",
      text: "Grün",
      want: "Subject: =?utf-8?b?R3LDvG4=?= Lunch\r\n",
    },
    { name: "no subject", lines: "A: b\r\n", text: "[EXT]", want: "A: b\r\nSubject: [EXT]\r\n" },
    { name: "an empty subject", lines: "Subject:\r\n", text: "[EXT]", want: "Subject: [EXT]\r\n" },
    { name: "not twice", lines: "subject: [EXT] Lunch\r\n", text: "[EXT]", want: "subject: [EXT] Lunch\r\n" },
    {
      name: "not twice behind a reply's prefix",
      lines: "Subject: Re: AW: Fwd: [EXT] Lunch\r\n",
      text: "[EXT]",
      want: "Subject: Re: AW: Fwd: [EXT] Lunch\r\n",
    },
    {
      name: "not twice in encoded words",
      lines: "Subject: =?utf-8?q?=5BEXT=5D_=C3=BC?=\r\n",
      text: "[EXT]",
      want: "Subject: =?utf-8?q?=5BEXT=5D_=C3=BC?=\r\n",
    },
    {
      name: "elsewhere in the subject does not count",
      lines: "Subject: no [EXT]\r\n",
      text: "[EXT]",
      want: "Subject: [EXT] no [EXT]\r\n",
    },
    { name: "nothing changes nothing", lines: "Subject: a\r\n", text: " ", want: "Subject: a\r\n" },
  ])("$name", ({ lines, text, want }) => {
    expect(prepend(lines, text)).toBe(want);
  });

  test("what is read is the text, a space, and the old subject", () => {
    const subject = fc.constantFrom(
      "Lunch",
      "=?utf-8?q?=C3=BC?=",
      "=?utf-8?b?w7w=?= and more",
      "gr\xc3\xbcn",
    );
    fc.assert(
      fc.property(
        subject,
        fc.string({ unit: fc.constantFrom("a", "ü", " ", "[", "€"), minLength: 1 }),
        (old, text) => {
          const words = `[${text.trim()}]`;
          const header = prependSubject(parseHeader(`Subject: ${old}\r\n`), words);
          const want = `${words} ${decodeHeaderText(old)}`;
          expect(decodeHeaderText(headerValues(header, "subject")[0]!)).toBe(want);
          expect(prependSubject(header, `${words} `)).toEqual(header);
        },
      ),
    );
  });
});

describe("addAddressTo()", () => {
  const bob = parseAddress("bob@x.example")!;
  test.each([
    { name: "a new field", lines: "A: b\r\n", want: "A: b\r\nTo: <bob@x.example>\r\n" },
    {
      name: "an address more",
      lines: "to: Ann <a@x.example>\r\n",
      want: "To: Ann <a@x.example>, <bob@x.example>\r\n",
    },
    { name: "not twice", lines: "To: BOB@x.example\r\n", want: "To: BOB@x.example\r\n" },
    {
      name: "after an empty group",
      lines: "To: undisclosed:;\r\n",
      want: "To: undisclosed:;, <bob@x.example>\r\n",
    },
    { name: "before an unfinished quote", lines: 'To: "Ann\r\n', want: 'To: <bob@x.example>, "Ann\r\n' },
    { name: "an empty field", lines: "To:\r\n", want: "To: <bob@x.example>\r\n" },
  ])("$name", ({ lines, want }) => {
    const header = addAddressTo(parseHeader(lines), "To", bob);
    expect(formatHeader(header)).toBe(want);
    expect(headerValues(header, "to").flatMap(parseAddressList)).toContainEqual(
      expect.objectContaining({ domain: "x.example" }),
    );
  });

  test("a UTF-8 address is written as octets", () => {
    const header = addAddressTo([], "Cc", parseAddress("grün@x.example")!);
    expect(formatHeader(header)).toBe("Cc: <gr\xc3\xbcn@x.example>\r\n");
  });
});
