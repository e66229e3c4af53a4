/** Sweeps what no revision needs any more: chunks, now and then; Secrets of keys that newer ones replaced, by name. */
import { indexDigests } from "../snapshot/mod.ts";
import type { Cluster, Home } from "./cluster.ts";
import { chunksToDelete, deleteByName, keySecretsToDelete } from "./collect.ts";
import { keysNumber, keysSecretName } from "./keys.ts";
import { type TransportMemory, textOfChunk } from "./memory.ts";
import { keysOf, type OperatorDeps } from "./own.ts";

const SWEEP_MS = 60_000;
/** How far back old Secrets of keys are sought: they are not listed, only named. */
const KEYS_BACK = 3;

export interface Sweep {
  readonly key: string;
  readonly memory: TransportMemory;
  readonly home: Home;
  /** Digest of what was compiled last: a head may not name it while an earlier revision is pinned. */
  readonly target: string | undefined;
}

export async function collectGarbage(
  { key, memory, home, target }: Sweep,
  { view, cluster, clock, log }: OperatorDeps,
): Promise<void> {
  const at = clock.monotonic();
  if (at - memory.sweptAt < SWEEP_MS || memory.head === undefined) return;
  memory.sweptAt = at;
  const { current, canary, refused, history } = memory.head.spec;
  const named = [current, canary, refused, ...history].map((one) => one?.digest);
  const digests = new Set([...named, target].filter((digest) => digest !== undefined));
  const keep = await chunksOf(digests, memory, { cluster, home });
  // A revision whose parts are not known: whatever it needs must stay.
  if (keep === undefined) return;
  for (const digest of memory.sizes.keys()) if (!keep.has(digest)) memory.sizes.delete(digest);
  for (const digest of memory.written) if (!keep.has(digest)) memory.written.delete(digest);
  const held = [...view.chunks(key).values()].map((one) => ({
    ...one,
    createdAt: Date.parse(one.createdAt),
  }));
  const names = chunksToDelete({ chunks: held, keep, now: clock.now() });
  const { deleted } = await deleteByName(names, {
    remove: (name) => cluster.remove("SnapshotChunk", name, home.namespace),
  });
  if (deleted > 0) log.debug({ transport: key, deleted }, "chunks swept");
  await sweepKeys(memory, { cluster, home, now: at });
}

async function chunksOf(
  digests: ReadonlySet<string>,
  memory: TransportMemory,
  place: { readonly cluster: Cluster; readonly home: Home },
): Promise<ReadonlySet<string> | undefined> {
  const keep = new Set<string>();
  for (const digest of digests) {
    const known = memory.chunks.get(digest) ?? (await readParts(digest, place));
    if (known === undefined) return undefined;
    memory.chunks.set(digest, known);
    for (const part of known) keep.add(part);
  }
  for (const digest of memory.chunks.keys()) if (!digests.has(digest)) memory.chunks.delete(digest);
  return keep;
}

/** undefined: it cannot be known. A revision whose index is gone has nothing left to keep. */
async function readParts(
  digest: string,
  { cluster, home }: { readonly cluster: Cluster; readonly home: Home },
): Promise<ReadonlySet<string> | undefined> {
  const text = textOfChunk(await cluster.readChunk(digest, home));
  if (text === undefined) return new Set([digest]);
  const parts = indexDigests(text);
  return parts.ok ? new Set([digest, ...parts.value]) : undefined;
}

/** Each superseded Secret is sought once, when it is old enough that no pod may still read it. */
async function sweepKeys(
  memory: TransportMemory,
  { cluster, home, now }: { readonly cluster: Cluster; readonly home: Home; readonly now: number },
): Promise<void> {
  const keep = new Set(keysOf(memory.head?.spec));
  const lowest = Math.min(...[...keep].map(keysNumber));
  if (!Number.isFinite(lowest)) return;
  // Those of a predecessor; how many it left nobody knows.
  memory.keysSweptBelow ??= Math.max(1, lowest - KEYS_BACK);
  const first = memory.keysSweptBelow;
  if (first >= lowest) return;
  if (memory.keysSince?.lowest !== lowest) memory.keysSince = { lowest, at: now };
  const createdAt = memory.keysSince.at;
  const names = Array.from({ length: lowest - first }, (_, index) => ({
    name: keysSecretName(home.transport, first + index),
    createdAt,
  }));
  const old = keySecretsToDelete({ transport: home.transport, secrets: names, keep, now });
  const { deleted } = await deleteByName(old, {
    remove: (name) => cluster.remove("Secret", name, home.namespace),
  });
  memory.keysSweptBelow = first + deleted;
}
