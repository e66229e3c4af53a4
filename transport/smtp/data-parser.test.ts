import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type ContentFault, DataParser, type DataParserOptions } from "./data-parser.ts";

const STRICT: DataParserOptions = { transparency: true, normalize: false };
const NORMALIZING: DataParserOptions = { transparency: true, normalize: true };
const CHUNK: DataParserOptions = { transparency: false, normalize: false };

interface Parsed {
  readonly content: string;
  readonly fault: ContentFault | undefined;
  readonly ended: boolean;
  readonly rest: string;
}

/** Feeds `pieces` one after the other, as the session does. */
function parse(options: DataParserOptions, pieces: readonly string[]): Parsed {
  const parser = new DataParser(options);
  let content = "";
  let rest = "";
  for (const piece of pieces) {
    const octets = Buffer.from(piece, "latin1");
    const used = parser.ended ? 0 : parser.feed(octets);
    if (used > 0) content += parser.output.toString("latin1");
    rest += octets.subarray(used).toString("latin1");
    expect(octets.toString("latin1")).toBe(piece); // the input is never written to
  }
  return { content: parser.fault ? "" : content, fault: parser.fault, ended: parser.ended, rest };
}

/** The obvious way, with the whole input at hand. */
function reference({ normalize }: DataParserOptions, input: string): Parsed {
  const framed = `\r\n${input}`;
  const end = framed.indexOf("\r\n.\r\n");
  const ended = end >= 0;
  const raw = ended ? framed.slice(0, end + 2) : framed;
  const rest = ended ? framed.slice(end + 5) : "";
  const plain = raw.replace(/\r\n\./g, "\r\n").slice(2);
  const bare = /\0/.test(plain) || (!normalize && /\r(?!\n)|(?<!\r)\n/.test(plain));
  const content = normalize ? plain.replace(/\r\n|\r|\n/g, "\r\n") : plain;
  return { content: bare ? "" : content, fault: bare ? "bare" : undefined, ended, rest };
}

function everySplit(text: string): string[][] {
  return Array.from({ length: text.length + 1 }, (_, at) => [text.slice(0, at), text.slice(at)]);
}

const END = "\r\n.\r\n";

describe("DataParser: smuggling", () => {
  test.each([
    { name: "LF . LF", bytes: "\n.\n" },
    { name: "LF . CRLF", bytes: "\n.\r\n" },
    { name: "CR . CR", bytes: "\r.\r" },
    { name: "CR . CRLF", bytes: "\r.\r\n" },
    { name: "CR . LF", bytes: "\r.\n" },
    { name: "CRLF . LF", bytes: "\r\n.\n" },
    { name: "CRLF . CR", bytes: "\r\n.\rx" },
    { name: "CRLF . CR CRLF", bytes: "\r\n.\r\r\n" },
    { name: "LF . CR", bytes: "\n.\r" },
    { name: "CRLF NUL . CRLF", bytes: "\r\n\0.\r\n" },
    { name: "CRLF . NUL CRLF", bytes: "\r\n.\0\r\n" },
    { name: "CR NUL LF . CRLF", bytes: "\r\0\n.\r\n" },
    { name: "CRLF . CR NUL LF", bytes: "\r\n.\r\0\n" },
    { name: "CR CRLF . LF", bytes: "\r\r\n.\n" },
    { name: "LFLF . LF CRLF", bytes: "\n\n.\n\r\n" },
  ])("$name never ends the data, at any split, and is a fault", ({ bytes }) => {
    const text = `a${bytes}MAIL FROM:<evil@example>\r\n${END.slice(2)}QUIT\r\n`;
    for (const pieces of everySplit(text)) {
      expect(parse(STRICT, pieces)).toEqual({ content: "", fault: "bare", ended: true, rest: "QUIT\r\n" });
    }
    expect(parse(STRICT, [...text])).toMatchObject({ fault: "bare", ended: true, rest: "QUIT\r\n" });
    const normalized = parse(NORMALIZING, [...text]);
    expect(normalized).toEqual(reference(NORMALIZING, text));
    expect(normalized.content.replaceAll("\r\n", "")).not.toMatch(/[\r\n]/);
  });
});

describe("DataParser: transparency", () => {
  test.each([
    { name: "an empty message is nothing", input: ".\r\n", content: "" },
    { name: "a lone stuffed dot is a dot", input: "..\r\n.\r\n", content: ".\r\n" },
    { name: "a dot before text is removed", input: ".a\r\n.\r\n", content: "a\r\n" },
    { name: "a dot inside a line stays", input: "a.\r\n.\r\n", content: "a.\r\n" },
    { name: "three dots become two", input: "...\r\n.\r\n", content: "..\r\n" },
    { name: "a blank line stays", input: "\r\n.\r\n", content: "\r\n" },
    { name: "what follows is not content", input: "a\r\n.\r\nQUIT\r\n", content: "a\r\n" },
  ])("$name", ({ input, content }) => {
    for (const pieces of everySplit(input)) {
      expect(parse(STRICT, pieces)).toMatchObject({ content, fault: undefined, ended: true });
    }
  });

  const octets = fc.array(fc.constantFrom("\r\n", "\r\n.", "\r\n..", "\r", "\n", ".", "a", "\0", "\t", "é"), {
    maxLength: 40,
  });
  test.each([
    { name: "strict", options: STRICT },
    { name: "normalizing", options: NORMALIZING },
  ])("$name parsing equals the reference, whatever the octets and splits", ({ options }) => {
    fc.assert(
      fc.property(octets, fc.array(fc.nat(60)), fc.boolean(), (parts, cuts, end) => {
        const text = parts.join("") + (end ? `${END}next` : "");
        const want = reference(options, text);
        const got = parse(options, cut(text, cuts));
        expect(got.ended).toBe(want.ended);
        expect(got.rest).toBe(want.rest);
        if (want.ended) expect(got).toEqual(want);
      }),
      { numRuns: 5000 },
    );
  });
});

describe("DataParser: without transparency", () => {
  test.each([
    { name: "dots and CRLF.CRLF are content", input: ".\r\n..\r\n.\r\n", fault: undefined },
    { name: "a bare LF is a fault", input: "a\nb", fault: "bare" },
    { name: "a CR at the very end is a fault", input: "a\r", fault: "bare" },
    { name: "a NUL is a fault", input: "a\0b\r\n", fault: "bare" },
  ])("$name", ({ input, fault }) => {
    const parser = new DataParser(CHUNK);
    expect(parser.feed(Buffer.from(input))).toBe(input.length);
    parser.finish();
    expect(parser.fault).toBe(fault);
    expect(parser.ended).toBe(false);
    if (fault === undefined) expect(parser.output.toString()).toBe(input);
  });

  test("a CR at the very end becomes CRLF when normalizing", () => {
    const parser = new DataParser({ transparency: false, normalize: true });
    parser.feed(Buffer.from("a\r"));
    expect(parser.output.toString() + parser.finish().toString()).toBe("a\r\n");
  });
});

describe("DataParser: lines", () => {
  const line = "x".repeat(998);
  test.each([
    { name: "998 octets pass", input: `${line}\r\n.\r\n`, fault: undefined },
    { name: "the transparency dot does not count", input: `..${line.slice(1)}\r\n.\r\n`, fault: undefined },
    { name: "999 octets are a fault", input: `${line}x\r\n.\r\n`, fault: "long" },
    { name: "the last line counts too", input: `a\r\n${line}x\r\n.\r\n`, fault: "long" },
  ])("$name", ({ input, fault }) => {
    expect(parse(STRICT, [input])).toMatchObject({ fault, ended: true });
    expect(parse(STRICT, cut(input, [3, 500, 999]))).toMatchObject({ fault, ended: true });
  });
});

describe("DataParser: cost", () => {
  test("an undisturbed chunk is passed on as a subarray", () => {
    const chunk = Buffer.from("a line\r\nanother\r\n");
    const parser = new DataParser(STRICT);
    parser.feed(chunk);
    expect(parser.output.buffer).toBe(chunk.buffer);
    expect(parser.output.byteOffset).toBe(chunk.byteOffset);
  });

  test("10 MB of dots cost no multiple of 10 MB of plain lines as short", () => {
    const dots = measure("..\r\n");
    const plain = measure("ab\r\n");
    expect(dots).toBeLessThan(4 * plain + 20); // measured at rest: 1.5 times; the bound allows for a busy machine
  });
});

function cut(text: string, cuts: readonly number[]): string[] {
  const at = [...new Set(cuts.filter((place) => place < text.length))].sort((a, b) => a - b);
  return [0, ...at].map((from, index) => text.slice(from, at[index] ?? text.length));
}

function measure(line: string): number {
  const chunk = Buffer.from(line.repeat(65_536 / line.length));
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 4; round++) {
    const parser = new DataParser(STRICT);
    const start = performance.now();
    for (let octets = 0; octets < 10_000_000; octets += chunk.length) parser.feed(chunk);
    best = Math.min(best, performance.now() - start);
  }
  return best;
}
