import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeTransfer, encodeBase64, encodeQuotedPrintable, transferDecoder } from "./transfer-encoding.ts";

const latin1 = (text: string) => Buffer.from(text, "latin1");
const text = (octets: Uint8Array) => Buffer.from(octets).toString("latin1");

describe("decodeTransfer()", () => {
  test.each([
    { name: "base64", encoding: "base64", octets: "YWJj\r\nZGVm\r\n", want: "abcdef" },
    { name: "base64 with garbage in it", encoding: "base64", octets: "Y!W*J\0j", want: "abc" },
    { name: "base64 without padding", encoding: "base64", octets: "YWI", want: "ab" },
    { name: "base64 joined after padding", encoding: "base64", octets: "YQ==Yg==", want: "ab" },
    { name: "base64 of nothing", encoding: "base64", octets: "====", want: "" },
    { name: "quoted-printable", encoding: "quoted-printable", octets: "a=3Db=C3=bc", want: "a=b\xc3\xbc" },
    { name: "soft line breaks", encoding: "quoted-printable", octets: "a=\r\nb=  \r\nc=\nd", want: "abcd" },
    {
      name: "white space at the end of a line goes",
      encoding: "quoted-printable",
      octets: "a \t\r\nb ",
      want: "a\r\nb",
    },
    { name: "white space inside stays", encoding: "quoted-printable", octets: "a \t b", want: "a \t b" },
    {
      name: "what is no code stays",
      encoding: "quoted-printable",
      octets: "a=zz=4=\t!==41",
      want: "a=zz=4=\t!=A",
    },
    { name: "a cut code stays", encoding: "quoted-printable", octets: "a=4", want: "a=4" },
    { name: "8bit stays", encoding: "8bit", octets: "a=41\xff", want: "a=41\xff" },
    { name: "an unknown encoding stays", encoding: "x-uuencode", octets: "begin", want: "begin" },
  ])("$name", ({ encoding, octets, want }) => {
    expect(text(decodeTransfer(latin1(octets), encoding))).toBe(want);
  });

  test.each(["base64", "quoted-printable"])("%s decodes alike in pieces of any size", (encoding) => {
    const unit = fc.constantFrom("=", "4", "1", "A", " ", "\r", "\n", "\r\n", "\t", "z", "\xff");
    fc.assert(
      fc.property(fc.string({ unit }), fc.integer({ min: 1, max: 4 }), (octets, size) => {
        const decoder = transferDecoder(encoding);
        let pieces = "";
        for (let at = 0; at < octets.length; at += size) {
          pieces += text(decoder.write(latin1(octets.slice(at, at + size))));
        }
        expect(pieces + text(decoder.end())).toBe(text(decodeTransfer(latin1(octets), encoding)));
      }),
    );
  });
});

describe("encoding", () => {
  test("base64 comes back, in lines of at most 76", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 500 }), (octets) => {
        const encoded = encodeBase64(octets);
        expect(decodeTransfer(encoded, "base64")).toEqual(Buffer.from(octets));
        for (const line of text(encoded).split("\r\n")) expect(line.length).toBeLessThanOrEqual(76);
      }),
    );
  });

  test("quoted-printable comes back, in ASCII lines of at most 76 without white space at their end", () => {
    const octet = fc.oneof(fc.constantFrom(13, 10, 32, 61, 46, 45, 45, 45), fc.integer({ min: 0, max: 255 }));
    fc.assert(
      fc.property(fc.array(octet, { maxLength: 400 }), (numbers) => {
        const octets = Buffer.from(numbers);
        const encoded = encodeQuotedPrintable(octets);
        expect(decodeTransfer(encoded, "quoted-printable")).toEqual(octets);
        expect(text(encoded)).toMatch(/^[\r\n\t\x20-\x7e]*$/);
        for (const line of text(encoded).split("\r\n")) {
          expect(line.length).toBeLessThanOrEqual(76);
          expect(line).not.toMatch(/[ \t\r\n]$|^--/);
        }
      }),
    );
  });
});
