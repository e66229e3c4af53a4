import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { BodyFile } from "./body-file.ts";
import { createBodyWriter, type Loan } from "./body-writer.ts";
import type { WholeBody } from "./segment-writer.ts";

let directory: string;
let loan: Loan;
let inSegment: WholeBody[];
let ownFiles: number;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "postroom-writer-"));
  loan = { left: 500_000 };
  inSegment = [];
  ownFiles = 0;
});

afterEach(() => rmSync(directory, { recursive: true }));

const writer = () =>
  createBodyWriter({
    inlineLimit: 1000,
    loan,
    toSegment: async (body) => {
      inSegment.push(body);
      return "in a segment";
    },
    newFile: () => {
      ownFiles += 1;
      return new BodyFile(directory, async () => undefined);
    },
    finished: () => undefined,
    unwanted: () => undefined,
    onFault: () => undefined,
  });

const fill = async (octets: number) => {
  const body = writer();
  for (let left = octets; left > 0; left -= 50_000) await body.write(Buffer.alloc(Math.min(left, 50_000)));
  return body;
};

describe("where a body goes", () => {
  test.each([
    { name: "up to 256 KiB to a segment, without the loan", octets: 262_144, left: 500_000, segment: 1 },
    { name: "beyond, on the loan", octets: 600_000, left: 500_000 - 338_000, segment: 1 },
    { name: "beyond the loan, to a file of its own", octets: 800_000, left: 500_000, segment: 0 },
    { name: "beyond 1 MiB, to a file of its own", octets: 1_100_000, left: 500_000, segment: 0 },
  ])("$name", async ({ octets, left, segment }) => {
    const body = await fill(octets);
    expect(loan.left).toBeGreaterThanOrEqual(left - 50_000);
    expect(loan.left).toBeLessThanOrEqual(left + 50_000);
    expect(await body.finish()).toMatchObject({ kind: "file", size: octets });
    expect([inSegment.length, ownFiles]).toEqual([segment, 1 - segment]);
    expect(loan.left).toBe(500_000);
  });

  test("what one holds on the loan another cannot, until it is given back", async () => {
    const first = await fill(600_000);
    await (await fill(600_000)).finish();
    expect(ownFiles).toBe(1);
    first.abort();
    expect(loan.left).toBe(500_000);
    await (await fill(600_000)).finish();
    expect(ownFiles).toBe(1);
  });
});

describe("crumbs", () => {
  test("a body that comes octet by octet is held in few pieces", async () => {
    const body = writer();
    for (let n = 0; n < 100_000; n++) void body.write(Buffer.from([n % 251]));
    await body.finish();
    const [{ pieces, size } = { pieces: [], size: 0 }] = inSegment;
    expect(size).toBe(100_000);
    expect(pieces.length).toBeLessThan(30);
    expect(Buffer.concat(pieces).every((octet, n) => octet === n % 251)).toBe(true);
  });

  test("pieces large and small keep their order", async () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 9000 }), { minLength: 30, maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(sizes, async (lengths) => {
        inSegment = [];
        const chunks = lengths.map((length, n) => Buffer.alloc(length, n + 1));
        const body = writer();
        for (const chunk of chunks) await body.write(chunk);
        const { size } = await body.finish();
        fc.pre(size > 1000 && ownFiles === 0);
        expect(Buffer.concat(inSegment[0]?.pieces ?? [])).toEqual(Buffer.concat(chunks));
      }),
      { numRuns: 50 },
    );
  });
});
