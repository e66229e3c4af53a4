import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Body } from "../../mail/message.ts";
import { eventually } from "../../test/helpers/eventually.ts";
import { collect } from "../../test/helpers/queue-items.ts";
import { mountSmallDisk } from "../../test/helpers/small-disk.ts";
import { type Bodies, type BodyOptions, DamagedBodyError, openBodies } from "./bodies.ts";

let root: string;
let directory: string;
let bodies: Bodies;
let damaged: DamagedBodyError[];
let faults: Error[];

const open = async (named: readonly Body[] = [], limits: Partial<BodyOptions> = {}) => {
  bodies = await openBodies(
    {
      directory,
      inlineLimit: 1000,
      onDamaged: (error) => void damaged.push(error),
      onFault: (error) => void faults.push(error),
      ...limits,
    },
    named.map((body) => ({ name: nameOf(body), size: body.size })),
  );
};

/** As after a restart, when rows name these. */
const reopen = async (named: readonly Body[] = [], limits: Partial<BodyOptions> = {}) => {
  await bodies.close();
  await open(named, limits);
};

const nameOf = (body: Body) => (body.kind === "file" ? body.name : "");
const files = () => readdirSync(directory);
const pathOf = (file: string | undefined) => join(directory, file ?? "");

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), "postroom-bodies-"));
  directory = join(root, "bodies");
  damaged = [];
  faults = [];
  await open();
});

afterEach(async () => {
  await bodies.close();
  rmSync(root, { recursive: true });
});

const write = async (...chunks: Buffer[]) => {
  const writer = bodies.writer();
  for (const chunk of chunks) await writer.write(chunk);
  return await writer.finish();
};

describe("writer()", () => {
  test.each([
    { name: "an empty body is inline", size: 0, kind: "inline" },
    { name: "a body at the limit is inline", size: 1000, kind: "inline" },
    { name: "one octet more is on disk", size: 1001, kind: "file" },
    { name: "the largest that goes to a segment is on disk", size: 1_048_576, kind: "file" },
    { name: "a large body is a file", size: 3_000_000, kind: "file" },
  ])("$name", async ({ size, kind }) => {
    const octets = Buffer.alloc(size, "0123456789");
    const body = await write(octets);
    expect(body).toMatchObject({ kind, size });
    expect(files()).toHaveLength(kind === "file" ? 1 : 0);
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
    expect(files()).toHaveLength(1);
    await reopen(written);
    for (const body of written)
      expect(await collect(bodies.read(body))).toEqual(Buffer.alloc(body.size, "z"));
    expect(damaged).toEqual([]);
  });

  test("many that came in crumbs are all whole", async () => {
    const octets = Buffer.alloc(30_000, "0123456789");
    const crumbs = Array.from({ length: 300 }, (_, n) => octets.subarray(n * 100, n * 100 + 100));
    const written = await Promise.all(Array.from({ length: 100 }, () => write(...crumbs)));
    expect(files()).toHaveLength(1);
    await reopen(written);
    for (const body of written) expect(await collect(bodies.read(body))).toEqual(octets);
  });

  test("a body that is finished after close() is refused, and leaves nothing open", async () => {
    await bodies.close();
    await expect(write(Buffer.alloc(5000))).rejects.toThrow(/The queue is closed/);
    expect(files()).toEqual([]);
  });

  test("a segment that is full is followed by the next", async () => {
    await reopen([], { segmentOctets: 10_000 });
    const written: Body[] = [];
    for (let n = 0; n < 9; n++) written.push(await write(Buffer.alloc(4000, String(n))));
    expect(files()).toHaveLength(3);
    await reopen(written);
    for (const [n, body] of written.entries()) {
      expect(await collect(bodies.read(body))).toEqual(Buffer.alloc(4000, String(n)));
    }
    expect(bodies.size()).toBe(36_000);
  });

  test.each([
    { name: "small", size: 10 },
    { name: "middle", size: 100_000 },
    { name: "large", size: 2_000_000 },
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

  test("abort() in the middle of finish() leaves nothing", async () => {
    const writer = bodies.writer();
    void writer.write(Buffer.alloc(50_000));
    const finished = writer.finish();
    writer.abort();
    await expect(finished).rejects.toThrow(/given up/);
    await eventually(() => bodies.size() === 0 && files().length === 0);
    expect(faults).toEqual([]);
  });

  test.for([
    { name: "in segments", size: 200_000, fits: 100_000 },
    { name: "of their own", size: 1_200_000, fits: 1_100_000 },
  ])(
    "a full disk fails finish() of bodies $name, tells onFault, and there is mail again",
    async (row, { skip }) => {
      const unmount = mountSmallDisk(directory, row.size > 1e6 ? "1124k" : "256k");
      if (unmount === undefined) return skip("no right to mount a small disk");
      try {
        const first = await write(Buffer.alloc(5000, "first"));
        const results = await Promise.allSettled([
          write(Buffer.alloc(row.size)),
          write(Buffer.alloc(row.size)),
        ]);
        const refused = results.filter(({ status }) => status === "rejected") as PromiseRejectedResult[];
        expect(String(refused[0]?.reason)).toMatch(/Cannot write a body file: .*ENOSPC/);
        expect(faults).toHaveLength(refused.length);
        for (const result of results) if (result.status === "fulfilled") bodies.discard(result.value);
        await eventually(() => files().length === 1);
        expect(await collect(bodies.read(await write(Buffer.alloc(row.fits, "y"))))).toHaveLength(row.fits);
        await reopen([first]);
        expect(await collect(bodies.read(first))).toEqual(Buffer.alloc(5000, "first"));
      } finally {
        unmount();
      }
    },
  );
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

  const changes = [
    { name: "longer", change: (octets: Buffer) => Buffer.concat([octets, Buffer.from("!")]) },
    { name: "shorter", change: (octets: Buffer) => octets.subarray(1) },
    { name: "altered", change: (octets: Buffer) => Buffer.concat([Buffer.from("!"), octets.subarray(1)]) },
    { name: "emptied", change: () => Buffer.alloc(0) },
  ];

  test.each(changes)("a file that was made $name never passes as whole", async ({ change }) => {
    const octets = Buffer.alloc(2_000_000, "abc");
    const body = await write(octets);
    writeFileSync(pathOf(nameOf(body)), change(octets));
    await expect(collect(bodies.read(body))).rejects.toThrow(DamagedBodyError);
    expect(damaged).toHaveLength(1);
  });

  test.each(changes)("of a segment that was made $name no damaged body passes as whole", async (row) => {
    const octets = Buffer.alloc(300_000, "abc");
    const [first, last] = [await write(octets), await write(octets)];
    const [segment] = files();
    writeFileSync(pathOf(segment), row.change(readFileSync(pathOf(segment))));
    await reopen([first, last]);
    const isSound = async (body: Body) => {
      try {
        expect(await collect(bodies.read(body))).toEqual(octets);
        return true;
      } catch (error) {
        expect(error).toBeInstanceOf(DamagedBodyError);
        expect((error as DamagedBodyError).file).toBe(nameOf(body));
        return false;
      }
    };
    const sound = [await isSound(first), await isSound(last)];
    const want = { longer: [true, true], shorter: [false, false], altered: [false, true] };
    expect(sound).toEqual(want[row.name as keyof typeof want] ?? [false, false]);
    expect(damaged).toHaveLength(sound.filter((whole) => !whole).length);
  });

  test.each([
    { name: "missing", harm: (path: string) => rmSync(path) },
    { name: "cut short", harm: (path: string) => writeFileSync(path, "x") },
  ])("check() finds a segment that is $name after a restart", async ({ harm }) => {
    const body = await write(Buffer.alloc(50_000));
    harm(pathOf(files()[0]));
    await reopen([body]);
    await expect(bodies.check(body)).rejects.toThrow(DamagedBodyError);
    await expect(collect(bodies.read(body))).rejects.toThrow(DamagedBodyError);
    bodies.remove([nameOf(body)]);
    expect(bodies.size()).toBe(0);
  });

  test.each([
    { name: "beyond its segment", change: (name: string) => name.replace(/\.0\./, ".900000.") },
    { name: "elsewhere in its segment", change: (name: string) => name.replace(/\.0\./, ".7.") },
  ])("a name altered to lie $name is damage", async ({ change }) => {
    const body = await write(Buffer.from("0123456789".repeat(5000)));
    const altered = { ...body, name: change(nameOf(body)) } as Body;
    expect(nameOf(altered)).not.toBe(nameOf(body));
    await reopen([altered]);
    await expect(collect(bodies.read(altered))).rejects.toThrow(DamagedBodyError);
  });

  test("a body just written is read from memory, whatever became of the disk", async () => {
    const octets = Buffer.alloc(100_000, "abc");
    const body = await write(octets);
    rmSync(pathOf(files()[0]));
    expect(await collect(bodies.read(body))).toEqual(octets);
  });

  test("a reader that leaves in the middle closes the file", async () => {
    const body = await write(Buffer.alloc(1_000_000, "abc"));
    await reopen([body]);
    for (let n = 0; n < 50; n++) for await (const _chunk of bodies.read(body)) break;
    expect(readdirSync("/proc/self/fd").length).toBeLessThan(200);
    expect(await collect(bodies.read(body))).toHaveLength(1_000_000);
  });
});

describe("what earlier programs and processes left", () => {
  test("a file for each body, as it once was, is read, kept and removed", async () => {
    const octets = Buffer.alloc(70_000, "old");
    const checksum = crc32(octets).toString(16).padStart(8, "0");
    const name = `123e4567-e89b-12d3-a456-426614174000.70000.${checksum}`;
    writeFileSync(pathOf(name), octets);
    const body = { kind: "file", name, size: 70_000 } as const;
    await reopen([body]);
    await bodies.check(body);
    expect(await collect(bodies.read(body))).toEqual(octets);
    expect(bodies.size()).toBe(70_000);
    bodies.remove([name]);
    await eventually(() => files().length === 0);
    expect(bodies.size()).toBe(0);
  });

  test("a torn end is harmless and never written after; what no row names is swept", async () => {
    const octets = Buffer.alloc(50_000, "abc");
    const kept = await write(octets);
    const [segment] = files();
    await reopen([kept]);
    appendFileSync(pathOf(segment), Buffer.alloc(7000, "torn"));
    writeFileSync(pathOf("123e4567-e89b-12d3-a456-426614174000.segment"), "nobody names me");
    writeFileSync(pathOf("stray.part"), "x");
    await reopen([kept]);
    expect(files()).toEqual([segment]);
    const next = await write(octets);
    expect(files()).toHaveLength(2);
    await reopen([kept, next]);
    for (const body of [kept, next]) expect(await collect(bodies.read(body))).toEqual(octets);
    await reopen([]);
    expect(files()).toEqual([]);
  });
});

describe("room given back", () => {
  test("a segment goes with its last body, the open one too when it is quiet", async () => {
    await reopen([], { segmentOctets: 100_000 });
    const written = await Promise.all(Array.from({ length: 12 }, () => write(Buffer.alloc(30_000))));
    expect(bodies.size()).toBe(360_000);
    for (const body of written) bodies.claim(body);
    for (const body of written) bodies.discard(body);
    expect(bodies.size()).toBe(360_000);
    bodies.remove(written.map(nameOf));
    await eventually(() => bodies.size() === 0 && files().length === 0);
  });

  test("discard() gives back the room of a body that no row names, once", async () => {
    const [refused, accepted] = [await write(Buffer.alloc(30_000)), await write(Buffer.alloc(30_000, "a"))];
    bodies.claim(accepted);
    bodies.discard(refused);
    bodies.discard(refused);
    bodies.discard(accepted);
    expect(await collect(bodies.read(accepted))).toEqual(Buffer.alloc(30_000, "a"));
    bodies.remove([nameOf(accepted)]);
    await eventually(() => bodies.size() === 0 && files().length === 0);
  });

  test("few that live long do not keep the dead: they move to files of their own", async () => {
    const limits = { segmentOctets: 100_000, deadOctets: 200_000 };
    await reopen([], limits);
    const survivors: Body[] = [];
    const content = (n: number) => Buffer.alloc(20_000, `<${n}>`);
    for (let n = 0; n < 100; n++) {
      const body = await write(content(n));
      bodies.claim(body);
      if (n % 10 === 0) survivors.push(body);
      else bodies.remove([nameOf(body)]);
    }
    await eventually(() => bodies.size() <= 200_000 + 100_000 + 2 * 200_000);
    expect(files()).toContain(nameOf(survivors[0]!));
    for (const [n, body] of survivors.entries()) {
      await bodies.check(body);
      expect(await collect(bodies.read(body))).toEqual(content(10 * n));
    }
    const onDisk = () => files().reduce((sum, file) => sum + readFileSync(pathOf(file)).length, 0);
    await eventually(() => onDisk() === bodies.size());
    await reopen(survivors, limits);
    expect(bodies.size()).toBe(onDisk());
    for (const [n, body] of survivors.entries()) {
      expect(await collect(bodies.read(body))).toEqual(content(10 * n));
    }
    bodies.remove(survivors.map(nameOf));
    await eventually(() => files().length === 0 && bodies.size() === 0);
    expect([damaged, faults]).toEqual([[], []]);
  });

  test("survivors that cannot move stay where they are, and onFault hears of it", async ({ skip }) => {
    const unmount = mountSmallDisk(directory, "1m");
    if (unmount === undefined) return skip("no right to mount a small disk");
    try {
      await reopen([], { segmentOctets: 400_000, deadOctets: 300_000 });
      const [first, second, third] = [
        await write(Buffer.alloc(100_000, "1")),
        await write(Buffer.alloc(350_000, "2")),
        await write(Buffer.alloc(90_000, "3")),
      ];
      writeFileSync(pathOf("filler"), Buffer.alloc(430_000));
      bodies.remove([nameOf(second)]);
      await eventually(() => faults.length === 1);
      expect(faults[0]?.message).toMatch(/Cannot move bodies out of a segment: .*ENOSPC/);
      expect(files()).toHaveLength(3);
      await reopen([first, third]);
      expect(await collect(bodies.read(first))).toEqual(Buffer.alloc(100_000, "1"));
      expect(await collect(bodies.read(third))).toEqual(Buffer.alloc(90_000, "3"));
    } finally {
      unmount();
    }
  });

  test("a survivor of a segment that was cut short is still known as damaged where it moved to", async () => {
    const sizes = [250_000, 100_000, 30_000];
    const [dead, cut, lost] = await Promise.all(sizes.map((size) => write(Buffer.alloc(size, "abc"))));
    const [segment] = files();
    writeFileSync(pathOf(segment), readFileSync(pathOf(segment)).subarray(0, 300_000));
    const named = [dead!, cut!, lost!];
    await reopen(named, { deadOctets: 1000 });
    bodies.remove([nameOf(dead!)]);
    await eventually(() => !files().includes(segment ?? ""));
    for (const body of [cut!, lost!]) {
      await expect(bodies.check(body)).rejects.toThrow(/octets/);
      await expect(collect(bodies.read(body))).rejects.toThrow(DamagedBodyError);
    }
  });

  test("a move that a crash broke off leaves the segment in force and the copies swept", async () => {
    const octets = Buffer.alloc(50_000, "abc");
    const body = await write(octets);
    const [segment] = files();
    await bodies.close();
    writeFileSync(pathOf(nameOf(body)), octets);
    writeFileSync(pathOf(`${nameOf(body)}.part`), octets.subarray(9));
    await open([body]);
    expect(files()).toEqual([segment]);
    expect(bodies.size()).toBe(50_000);
    expect(await collect(bodies.read(body))).toEqual(octets);
  });
});
