import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ReplyReader } from "./reply-reader.ts";

function read(...chunks: string[]): (readonly string[] | undefined)[] {
  const reader = new ReplyReader();
  return chunks.map((chunk) => reader.feed(Buffer.from(chunk, "latin1")));
}

/** The same over the whole text, line by line. */
function reference(text: string): string[] {
  const replies: string[] = [];
  let reply = "";
  for (const line of text.split(/\r?\n/).slice(0, -1)) {
    reply += line;
    if (/^\d+-/.test(line)) reply += "\n";
    else if (reply.trim() === "") reply = "";
    else {
      replies.push(reply);
      reply = "";
    }
  }
  return replies;
}

describe("ReplyReader", () => {
  test.each([
    { name: "one line is one reply", in: ["250 ok\r\n"], want: [["250 ok"]] },
    { name: "replies in one chunk come in order", in: ["250 a\r\n251 b\r\n"], want: [["250 a", "251 b"]] },
    { name: "lines of one reply are joined", in: ["250-a\r\n250 b\r\n"], want: [["250-a\n250 b"]] },
    { name: "a reply in two chunks comes with the second", in: ["25", "0 ok\r\n"], want: [[], ["250 ok"]] },
    { name: "CR split from its LF is no part of the reply", in: ["250 ok\r", "\n"], want: [[], ["250 ok"]] },
    { name: "empty lines are no replies", in: ["\r\n\r\n250 ok\r\n"], want: [["250 ok"]] },
    { name: "UTF-8 is read", in: ["250 gr\xc3", "\xbc\xc3\x9fe\r\n"], want: [[], ["250 grüße"]] },
    { name: "what is no UTF-8 stays as it is", in: ["250 gr\xfc\r\n"], want: [["250 gr\xfc"]] },
    { name: "a line without end is given up", in: [`250-${"x".repeat(70_000)}`], want: [undefined] },
    { name: "a long line with an end is given up", in: [`250 ${"x".repeat(70_000)}\r\n`], want: [undefined] },
    { name: "lines without end are given up", in: ["250-x\r\n".repeat(20_000)], want: [undefined] },
  ])("$name", ({ in: chunks, want }) => {
    expect(read(...chunks)).toEqual(want);
  });

  test("what did not end is told", () => {
    const reader = new ReplyReader();
    reader.feed(Buffer.from("250 ok\r\n421-go\r\n421 aw"));
    expect(reader.rest).toBe("421-go\n421 aw");
  });

  test("any text in any chunks is read as the whole text would be", () => {
    const piece = fc.constantFrom("\r", "\n", "\r\n", "2", "250 ", "250-", "a", " ");
    fc.assert(
      fc.property(fc.array(fc.array(piece, { maxLength: 8 }), { maxLength: 8 }), (pieces) => {
        const chunks = pieces.map((some) => some.join(""));
        expect(read(...chunks).flat()).toEqual(reference(chunks.join("")));
      }),
      { numRuns: 2000 },
    );
  });
});
