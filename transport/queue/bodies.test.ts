import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { eventually } from "../../test/helpers/eventually.ts";
import { collect } from "../../test/helpers/queue-items.ts";
import { mountSmallDisk } from "../../test/helpers/small-disk.ts";
import { type Bodies, DamagedBodyError, openBodies } from "./bodies.ts";

let root: string;
let directory: string;
let bodies: Bodies;
let damaged: DamagedBodyError[];
let faults: Error[];

const open = async (inlineLimit = 1000) => {
  bodies = await openBodies(
    {
      directory,
      inlineLimit,
      onDamaged: (error) => void damaged.push(error),
      onFault: (error) => void faults.push(error),
    },
    [],
  );
};

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), "postroom-bodies-"));
  directory = join(root, "bodies");
  damaged = [];
  faults = [];
  await open();
});

afterEach(() => rmSync(root, { recursive: true }));

const write = async (...chunks: Buffer[]) => {
  const writer = bodies.writer();
  for (const chunk of chunks) await writer.write(chunk);
  return await writer.finish();
};

describe("writer()", () => {
  test.each([
    { name: "an empty body is inline", size: 0, kind: "inline" },
    { name: "a body at the limit is inline", size: 1000, kind: "inline" },
    { name: "one octet more is a file", size: 1001, kind: "file" },
    { name: "a large body is a file", size: 3_000_000, kind: "file" },
  ])("$name", async ({ size, kind }) => {
    const octets = Buffer.alloc(size, "0123456789");
    const body = await write(octets);
    expect(body).toMatchObject({ kind, size });
    expect(readdirSync(directory)).toHaveLength(kind === "file" ? 1 : 0);
    expect(await collect(bodies.read(body))).toEqual(octets);
    expect(await collect(bodies.read(body))).toEqual(octets);
    await bodies.check(body);
    expect(bodies.size()).toBe(kind === "file" ? size : 0);
  });

  test("octets come back whole however they are split", async () => {
    const chunks = fc.array(fc.uint8Array({ maxLength: 700 }), { maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(chunks, async (parts) => {
        const body = await write(...parts.map((part) => Buffer.from(part)));
        expect(await collect(bodies.read(body))).toEqual(Buffer.concat(parts));
      }),
      { numRuns: 40 },
    );
  });

  test("writes that nobody waits for are kept in order", async () => {
    const writer = bodies.writer();
    const parts = Array.from({ length: 300 }, (_, index) => Buffer.alloc(5000, String(index % 10)));
    const waits = parts.filter((part) => writer.write(part) !== undefined);
    expect(waits.length).toBeGreaterThan(0);
    expect(await collect(bodies.read(await writer.finish()))).toEqual(Buffer.concat(parts));
  });

  test("many at once are all whole", async () => {
    const sizes = Array.from({ length: 20 }, (_, index) => 1500 + index);
    const written = await Promise.all(sizes.map((size) => write(Buffer.alloc(size, "z"))));
    await Promise.all(written.map((body) => bodies.check(body)));
    expect(readdirSync(directory)).toHaveLength(20);
  });

  test.each([
    { name: "small", size: 10 },
    { name: "large", size: 500_000 },
  ])("abort() leaves nothing of a $name body, finish() after it fails", async ({ size }) => {
    const writer = bodies.writer();
    void writer.write(Buffer.alloc(size));
    writer.abort();
    writer.abort();
    expect(writer.write(Buffer.alloc(size))).toBeUndefined();
    await expect(writer.finish()).rejects.toThrow(/given up/);
    await eventually(() => readdirSync(directory).length === 0);
    expect(faults).toEqual([]);
  });

  test("a folder that cannot be written fails finish(), tells onFault, and works again when mended", async () => {
    rmSync(directory, { recursive: true });
    const writer = bodies.writer();
    for (let n = 0; n < 10; n++) await writer.write(Buffer.alloc(100_000));
    await expect(writer.finish()).rejects.toThrow(/Cannot write a body file: ENOENT/);
    expect(faults).toHaveLength(1);
    mkdirSync(directory);
    expect(await write(Buffer.alloc(5000))).toMatchObject({ kind: "file" });
  });

  test("a full disk fails finish() and leaves no part behind", async ({ skip }) => {
    const unmount = mountSmallDisk(directory, "256k");
    if (unmount === undefined) return skip("no right to mount a small disk");
    try {
      await expect(write(Buffer.alloc(400_000))).rejects.toThrow(/ENOSPC/);
      await eventually(() => readdirSync(directory).length === 0);
      expect(await write(Buffer.alloc(100_000))).toMatchObject({ kind: "file" });
    } finally {
      unmount();
    }
  });
});

describe("read()", () => {
  test.each([
    { name: "a path upwards", file: "../queue.db" },
    { name: "an absolute path", file: "/etc/passwd" },
    { name: "a name that is not ours", file: "readme" },
    { name: "a part of a body", file: "123e4567-e89b-12d3-a456-426614174000.part" },
  ])("$name is never opened", async ({ file }) => {
    writeFileSync(join(root, "queue.db"), "secret");
    const body = { kind: "file", name: file, size: 6 } as const;
    await expect(collect(bodies.read(body))).rejects.toThrow(DamagedBodyError);
    await expect(bodies.check(body)).rejects.toThrow(DamagedBodyError);
    bodies.remove([file]);
    expect(readdirSync(root)).toContain("queue.db");
  });

  test.each([
    { name: "longer", change: (octets: Buffer) => Buffer.concat([octets, Buffer.from("!")]) },
    { name: "shorter", change: (octets: Buffer) => octets.subarray(1) },
    { name: "altered", change: (octets: Buffer) => Buffer.concat([Buffer.from("!"), octets.subarray(1)]) },
    { name: "emptied", change: () => Buffer.alloc(0) },
  ])("a file that was made $name never passes as whole", async ({ change }) => {
    const octets = Buffer.alloc(200_000, "abc");
    const body = await write(octets);
    writeFileSync(join(directory, (body as { name: string }).name), change(octets));
    await expect(collect(bodies.read(body))).rejects.toThrow(DamagedBodyError);
    expect(damaged).toHaveLength(1);
  });
});
