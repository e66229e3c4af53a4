import { zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { objects } from "../test/helpers/resources.ts";
import { decodeChunk, encodeChunk } from "./chunk-codec.ts";
import { indexDigests, type SnapshotContent, sha256 } from "./chunks.ts";
import { compileSnapshot } from "./compile.ts";
import { PackMemory, packSnapshot } from "./pack.ts";
import { byRuleOrder } from "./precedence.ts";
import type { RuleEntry } from "./schema.ts";
import { UnpackMemory, unpackSnapshot } from "./unpack.ts";

const compiled = compileSnapshot({
  resources: objects(
    "MailTransport hub {hostname: mx.a.example}",
    "ReceiveConnector in {bindings: [{port: 25}]}",
    "SendConnector out {addressSpaces: [{domain: '*'}], routing: {type: MX}}",
    "AcceptedDomain d {domains: [a.example]}",
    "TransportRule r!2026-01-01T00:00:00Z {actions: {deleteMessage: true}}",
  ),
}).snapshot!;
const [template] = compiled.rules as [RuleEntry];

function rule(name: string, more: Partial<RuleEntry> = {}): RuleEntry {
  return { ...template, name: `default/${name}`, ...more };
}

function contentOf(rules: readonly RuleEntry[]): SnapshotContent {
  const { version, digest, ...content } = compiled;
  return { ...content, rules: rules.toSorted(byRuleOrder) };
}

function pack(rules: readonly RuleEntry[], memory?: PackMemory) {
  return packSnapshot(contentOf(rules), memory);
}

const plain = (value: unknown) => JSON.parse(JSON.stringify(value));
const many = Array.from({ length: 1_000 }, (_, at) => rule(`rule${at}`, { priority: at % 7 }));

describe("packSnapshot()", () => {
  test("gives what unpackSnapshot() reads back", () => {
    const packed = pack(many);
    const read = unpackSnapshot(packed);
    expect(read).toEqual({
      ok: true,
      value: plain({ version: 1, digest: packed.digest, ...contentOf(many) }),
      diagnostics: [],
    });
  });

  test("names every chunk in its index, by its sha256", () => {
    const { digest, chunks } = pack(many);
    const named = indexDigests(chunks.get(digest) ?? "");
    expect(named.ok && [...named.value, digest].sort()).toEqual([...chunks.keys()].sort());
    for (const [name, text] of chunks) expect(sha256(text)).toBe(name);
  });

  test("keeps few entries together", () => {
    const largest = Math.max(
      ...[...pack(many).chunks.values()].map((text) => text.split('"priority"').length - 1),
    );
    expect(largest).toBeGreaterThan(20);
    expect(largest).toBeLessThanOrEqual(128);
  });

  test("writes one bucket and the index when one of a thousand changes", () => {
    const before = pack(many);
    const after = pack(many.with(500, rule("rule500", { priority: 6 })));
    expect([...after.chunks.keys()].filter((digest) => !before.chunks.has(digest))).toHaveLength(2);
  });

  test("cuts a long entry into pieces that are UTF-8 each", () => {
    const words = Array.from({ length: 40_000 }, (_, at) => `💌 ${at}`);
    const long = rule("long", { conditions: { subjectContainsWords: words } });
    const packed = pack([long, rule("short")]);
    const texts = [...packed.chunks.values()];
    expect(texts.length).toBeGreaterThan(5);
    for (const text of texts) {
      expect(text.length).toBeLessThanOrEqual(256 * 1024);
      expect(Buffer.from(text).toString()).toBe(text);
      expect(encodeChunk(text).data.length).toBeLessThan(1_400_000);
    }
    const read = unpackSnapshot(packed);
    expect(read.ok && read.value.rules[0]?.conditions?.subjectContainsWords).toEqual(words);
  });
});

/** Steps: what becomes of one of 400 names. */
const step = fc.record({
  name: fc.nat({ max: 400 }).map((at) => `r${at}`),
  to: fc.option(
    fc.record({ priority: fc.nat({ max: 3 }), createdAt: fc.option(fc.nat({ max: 3 }), { nil: undefined }) }),
  ),
});
const steps = fc.array(fc.array(step, { minLength: 1, maxLength: 5 }), { minLength: 1, maxLength: 6 });

/** Packed and unpacked with memory: the snapshot as a pod has it. Throws when a chunk is wanted that is not new. */
function deliver(rules: readonly RuleEntry[], packing: PackMemory, unpacking: UnpackMemory) {
  const packed = pack(rules, packing);
  expect(packed).toEqual(pack(rules.toReversed()));
  const chunks = new Map([...packed.chunks].filter(([digest]) => !unpacking.has(digest)));
  const read = unpackSnapshot({ digest: packed.digest, chunks }, unpacking);
  if (!read.ok) throw new Error(read.diagnostics[0]?.message);
  expect(read.value).toEqual(plain({ version: 1, digest: packed.digest, ...contentOf(rules) }));
  return read.value;
}

test("with memory and without, packed and unpacked again, any edits give the same, and what is equal is the same", () => {
  fc.assert(
    fc.property(steps, (rounds) => {
      const rules = new Map<string, RuleEntry>(
        Array.from({ length: 300 }, (_, at) => [`r${at}`, rule(`r${at}`)]),
      );
      const [packing, unpacking] = [new PackMemory(), new UnpackMemory()];
      let last = new Map<string, RuleEntry>();
      for (const round of [[], ...rounds]) {
        for (const { name, to } of round) {
          if (to === null) rules.delete(name);
          else rules.set(name, rule(name, to));
        }
        const { rules: got } = deliver([...rules.values()], packing, unpacking);
        const equal = got.filter((entry) => JSON.stringify(last.get(entry.name)) === JSON.stringify(entry));
        expect(equal.filter((entry) => last.get(entry.name) !== entry)).toEqual([]);
        last = new Map(got.map((entry) => [entry.name, entry]));
      }
    }),
    { numRuns: 60 },
  );
});

describe("unpackSnapshot() refuses", () => {
  const packed = pack(many);
  const [digest = "", text = ""] = [...packed.chunks].find(([name]) => name !== packed.digest) ?? [];
  const put = (changes: Record<string, string>) => ({
    digest: packed.digest,
    chunks: new Map([...packed.chunks, ...Object.entries(changes)]),
  });
  const made = (index: string, ...texts: string[]) => ({
    digest: sha256(index),
    chunks: new Map([index, ...texts].map((one) => [sha256(one), one])),
  });
  const kinds = { transport: [], receiveConnectors: [], sendConnectors: [], acceptedDomains: [], rules: [] };
  test.each([
    { name: "no index", from: { digest: packed.digest, chunks: new Map() }, want: "is not complete: chunk" },
    {
      name: "a chunk less",
      from: { ...packed, chunks: new Map([...packed.chunks].filter(([name]) => name !== digest)) },
      want: `is not complete: chunk ${digest.slice(0, 12)} is missing`,
    },
    {
      name: "a chunk cut off",
      from: put({ [digest]: text.slice(0, -1) }),
      want: "was changed: the digest of chunk",
    },
    { name: "another index", from: put({ [packed.digest]: "{}" }), want: "was changed" },
    { name: "an index that is no JSON", from: made("{"), want: "has no index" },
    { name: "an index that is a list", from: made("[]"), want: "has no index" },
    { name: "an index of another version", from: made('{"version":2}'), want: "another version" },
    { name: "an index without kinds", from: made('{"version":1}'), want: "names no chunks" },
    {
      name: "an index of something else",
      from: made(JSON.stringify({ version: 1, ...kinds, rules: [["x"]] })),
      want: "names no chunks",
    },
    {
      name: "no transport",
      from: made(JSON.stringify({ version: 1, ...kinds })),
      want: "is not of one transport",
    },
    {
      name: "a chunk without entries",
      from: made(JSON.stringify({ version: 1, ...kinds, rules: [[sha256("[null]")]] }), "[null]"),
      want: "holds no entries",
    },
  ])("$name", ({ from, want }) => {
    const read = unpackSnapshot(from);
    expect(read.ok).toBe(false);
    expect(read.diagnostics[0]?.message).toContain(want);
  });

  test("any garbage, without throwing, and forgets nothing for it", () => {
    const memory = new UnpackMemory();
    unpackSnapshot(packed, memory);
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), fc.json(), (index, other) => {
        expect(unpackSnapshot(made(index, other), memory).ok).toBe(false);
        expect(indexDigests(index).ok).toBe(false);
      }),
    );
    const index = packed.chunks.get(packed.digest) ?? "";
    const again = unpackSnapshot(
      { digest: packed.digest, chunks: new Map([[packed.digest, index]]) },
      memory,
    );
    expect(again.ok && again.value.rules).toHaveLength(many.length);
  });
});

describe("encodeChunk() and decodeChunk()", () => {
  test("give any text back", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (text) => {
        expect(decodeChunk(encodeChunk(text))).toMatchObject({ ok: true, value: text });
      }),
    );
  });

  const spec = encodeChunk("text");
  const bomb = zstdCompressSync(Buffer.alloc(65 * 1024 * 1024)).toString("base64");
  test.each([
    { name: "no base64", data: "%%%", want: "cannot be decompressed" },
    { name: "nothing", data: "", want: "" },
    { name: "cut off", data: spec.data.slice(0, 8), want: "cannot be decompressed" },
    { name: "another text", data: encodeChunk("other").data, want: "was changed" },
    { name: "a bomb", data: bomb, want: "cannot be decompressed" },
  ])("refuse $name", ({ data, want }) => {
    const read = decodeChunk({ ...spec, data });
    expect(read.ok).toBe(false);
    expect(read.diagnostics[0]?.message).toContain(want);
  });
});
