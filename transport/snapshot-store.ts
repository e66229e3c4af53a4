/**
 * SnapshotStore: the last good configuration on disk, for a start without manifests or API server.
 *
 * A folder with one file a chunk, named by its digest; keys in a file of mode 0600, named by theirs; and `current`, which
 * names what belongs together. New files are whole and flushed before `current` is replaced: what it names is there,
 * whatever happens. Then what it no longer names is removed.
 *
 * @module
 */
import { createHash, createHmac } from "node:crypto";
import { mkdir, open, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { type KeysRef, type Revision, TransportSnapshotSpec } from "../crds/delivery-kinds.ts";
import type { Logger } from "../lib/log.ts";
import { indexDigests, type Secrets, type Snapshot, UnpackMemory, unpackSnapshot } from "../snapshot/mod.ts";
import { inParallel } from "./in-parallel.ts";

/** The content of a keys Secret. */
export interface Keys {
  readonly ref: KeysRef;
  /** JSON: namespace/name -> key -> text. */
  readonly text: string;
  /** Base64. */
  readonly salt: string;
}

/** What makes up one configuration on disk. */
export interface Keeping {
  readonly digest: string;
  /** Of every chunk, the index among them. */
  readonly digests: readonly string[];
  /** At least of those chunks that the store does not have. */
  readonly texts: ReadonlyMap<string, string>;
  /** From the cluster only; a folder holds its own Secrets. */
  readonly cluster?: { readonly revision: number; readonly keys: Keys | undefined } | undefined;
}

export interface Kept {
  readonly snapshot: Snapshot;
  /** undefined: it came from a folder. */
  readonly revision: Revision | undefined;
  readonly keys: Keys | undefined;
}

export interface SnapshotStore {
  /** What was kept last; undefined, and a line in the log, when it cannot be read whole. */
  last(memory?: UnpackMemory): Promise<Kept | undefined>;
  /** True: its file is there. */
  has(digest: string): boolean;
  /** A chunk's text, if it is there as it should be. */
  text(digest: string): Promise<string | undefined>;
  /** Durable when it resolves. */
  keep(keeping: Keeping): Promise<void>;
}

const CURRENT = "current";
const KEYS = "keys-";
const CurrentFile = TransportSnapshotSpec.shape.current.partial({ revision: true });
const PARALLEL = 8;

/** Opens the store of a state folder; nothing is read yet but names. */
export async function openSnapshotStore(state: string, log: Logger): Promise<SnapshotStore> {
  const folder = join(state, "snapshot");
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const present = new Set(await readdir(folder));
  let current = "";
  const text = (digest: string) => readChunk(folder, digest, present);
  const write = async (name: string, content: string) => {
    if (present.has(name)) return;
    await writeDurably(join(folder, name), content);
    present.add(name);
  };
  return {
    has: (digest) => present.has(digest),
    text,
    async last(memory = new UnpackMemory()) {
      if (!present.has(CURRENT)) return undefined;
      try {
        return await readLast(folder, text, memory);
      } catch (cause) {
        log.warn({ cause: messageOf(cause) }, "last good snapshot is not readable, going on without it");
        // Chunks vouch for themselves; keys are written anew.
        for (const name of present) if (name.startsWith(KEYS)) present.delete(name);
        return undefined;
      }
    },
    async keep({ digest, digests, texts, cluster }) {
      const named = new Set(digests);
      const fresh = [...named].filter((one) => !present.has(one));
      await inParallel(fresh, PARALLEL, (one) => write(one, texts.get(one) ?? missing(one)));
      const keys = cluster?.keys;
      if (keys !== undefined) await write(keysFile(keys.ref), JSON.stringify(keys));
      const next = JSON.stringify({ digest, revision: cluster?.revision, keys: keys?.ref });
      if (fresh.length === 0 && next === current) return;
      await flushFolder(folder);
      await writeDurably(join(folder, CURRENT), next);
      await flushFolder(folder);
      present.add(CURRENT);
      current = next;
      const wanted = new Set([...named, CURRENT, ...(keys === undefined ? [] : [keysFile(keys.ref)])]);
      for (const name of present) {
        if (wanted.has(name)) continue;
        await rm(join(folder, name), { recursive: true, force: true });
        present.delete(name);
      }
    },
  };
}

/** Content of a keys Secret, or what is wrong with it. */
export function readKeys({ ref, text, salt }: Keys): Secrets {
  const digest = createHmac("sha256", Buffer.from(salt, "base64")).update(text).digest("hex");
  if (digest !== ref.digest) throw new Error(`The keys "${ref.secret}" were changed: their digest differs`);
  return new Map(Object.entries(JSON.parse(text) as Record<string, Record<string, string>>));
}

async function readLast(folder: string, textOf: SnapshotStore["text"], memory: UnpackMemory): Promise<Kept> {
  const {
    digest,
    revision,
    keys: ref,
  } = CurrentFile.parse(JSON.parse(await readFile(join(folder, CURRENT), "utf8")));
  const index = (await textOf(digest)) ?? missing(digest);
  const digests = indexDigests(index);
  if (!digests.ok) throw new Error(digests.diagnostics[0]?.message);
  const chunks = new Map([[digest, index]]);
  await inParallel(digests.value, PARALLEL, async (one) => {
    chunks.set(one, (await textOf(one)) ?? missing(one));
  });
  const read = unpackSnapshot({ digest, chunks }, memory);
  if (!read.ok) throw new Error(read.diagnostics[0]?.message);
  const keys = ref && ((await readJson(join(folder, keysFile(ref)))) as Keys);
  if (keys !== undefined) readKeys(keys);
  return {
    snapshot: read.value,
    revision: revision === undefined ? undefined : { revision, digest, ...(ref && { keys: ref }) },
    keys,
  };
}

async function readChunk(folder: string, digest: string, present: Set<string>): Promise<string | undefined> {
  if (!present.has(digest)) return undefined;
  const text = await readFile(join(folder, digest), "utf8").catch(() => "");
  if (createHash("sha256").update(text).digest("hex") === digest) return text;
  // To be written anew.
  present.delete(digest);
  return undefined;
}

async function readJson(path: string): Promise<unknown> {
  return JSON.parse(await readFile(path, "utf8"));
}

function keysFile({ digest }: KeysRef): string {
  return `${KEYS}${digest}.json`;
}

/** A file has its name when it is whole: what a full disk or a crash cut short goes by another. */
async function writeDurably(path: string, content: string): Promise<void> {
  const draft = `${path}.tmp`;
  try {
    const file = await open(draft, "w", 0o600);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(draft, path);
  } catch (cause) {
    await rm(draft, { force: true }).catch(() => {});
    throw cause;
  }
}

async function flushFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function missing(digest: string): never {
  throw new Error(`Chunk ${digest.slice(0, 12)} is missing`);
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
