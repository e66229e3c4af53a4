import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Marks, openMarks, readMarks } from "./marks.ts";

let directory: string;
let path: string;
let marks: Marks;

const endOfTurn = () => new Promise((resolve) => setImmediate(resolve));

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "postroom-marks-"));
  path = join(directory, "marks");
  marks = openMarks(path);
});

afterEach(() => {
  marks.close();
  rmSync(directory, { recursive: true });
});

describe("marks", () => {
  test("what is marked and not done is read back", async () => {
    marks.mark("a");
    const done = marks.mark("a-longer-id");
    marks.mark("é");
    done();
    done();
    await endOfTurn();
    expect(readMarks(path)).toEqual(new Set(["a", "é"]));
  });

  test("after close() nothing is marked: the number of the file may be another one's", () => {
    marks.mark("a");
    marks.close();
    const other = join(directory, "other");
    writeFileSync(other, "");
    const file = openSync(other, "r+");
    try {
      marks.mark("b")();
      expect(readFileSync(other, "utf8")).toBe("");
      expect(readMarks(path)).toEqual(new Set(["a"]));
    } finally {
      closeSync(file);
      marks = openMarks(path);
    }
  });

  test("many that end in one turn are forgotten, those that began in it are not", async () => {
    const done = Array.from({ length: 20 }, (_, n) => marks.mark(`id-${n}`));
    for (const end of done.filter((_, n) => n % 7 !== 0)) end();
    for (const id of ["x", "y", "z"]) marks.mark(id);
    await endOfTurn();
    expect(readMarks(path)).toEqual(new Set(["id-0", "id-7", "id-14", "x", "y", "z"]));
  });

  test("closing forgets what is done", () => {
    marks.mark("a")();
    marks.mark("b");
    marks.mark("c")();
    marks.close();
    expect(readMarks(path)).toEqual(new Set(["b"]));
    marks = openMarks(path);
  });

  test("a slot that is free is used again", () => {
    for (let round = 0; round < 1000; round++) marks.mark(`id-${round}`)();
    expect(readFileSync(path).length).toBeLessThan(300);
    marks.mark("x".repeat(255));
    marks.mark("b");
    expect(readMarks(path)).toEqual(new Set(["x".repeat(255), "b"]));
  });

  test("clear() forgets all, and late ends do no harm", () => {
    const done = marks.mark("a");
    marks.clear();
    marks.close();
    done();
    expect(readMarks(path)).toEqual(new Set());
    marks = openMarks(path);
  });

  test("marks that were left are there until they are cleared", () => {
    marks.mark("a");
    marks.close();
    marks = openMarks(path);
    expect(readMarks(path)).toEqual(new Set(["a"]));
  });

  test("an id too long to be kept is refused", () => {
    expect(() => marks.mark("x".repeat(256))).toThrow(/too long/);
  });

  test("no file means no marks, and any octets are read without a fault", () => {
    expect(readMarks(join(directory, "none"))).toEqual(new Set());
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2000 }), (octets) => {
        writeFileSync(path, octets);
        return readMarks(path) instanceof Set;
      }),
    );
  });
});
