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

export async function collectGarbage(
  { key, memory, home }: { readonly key: string; readonly memory: TransportMemory; readonly home: Home },
  { view, cluster, clock, log }: OperatorDeps,
): Promise<void> {
  const now = clock.now();
  if (now - memory.sweptAt < SWEEP_MS || memory.head === undefined) return;
  memory.sweptAt = now;
  const { current, canary, refused, history } = memory.head.spec;
  const digests = [current, canary, refused, ...history].flatMap((one) =>
    one === undefined ? [] : [one.digest],
  );
  const keep = await chunksOf(digests, memory, { cluster, home });
  // A revision whose parts are not known: whatever it needs must stay.
  if (keep === undefined) return;
  const held = [...view.chunks(key).values()].map((one) => ({
    ...one,
    createdAt: Date.parse(one.createdAt),
  }));
  const names = chunksToDelete({ chunks: held, keep, now });
  const { deleted } = await deleteByName(names, {
    remove: (name) => cluster.remove("SnapshotChunk", name, home.namespace),
  });
  for (const { name, digest } of held) if (names.includes(name)) memory.written.delete(digest);
  if (deleted > 0) log.debug({ transport: key, deleted }, "chunks swept");
  await sweepKeys(memory, { cluster, home, now });
}

async function chunksOf(
  digests: readonly string[],
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
  for (const digest of memory.chunks.keys()) if (!digests.includes(digest)) memory.chunks.delete(digest);
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
  if (!Number.isFinite(lowest) || lowest <= memory.keysSweptBelow) return;
  memory.keysSince ??= now;
  const names = Array.from({ length: KEYS_BACK }, (_, back) => lowest - 1 - back)
    .filter((number) => number >= 1)
    .map((number) => ({ name: keysSecretName(home.transport, number), createdAt: memory.keysSince ?? now }));
  const old = keySecretsToDelete({ transport: home.transport, secrets: names, keep, now });
  if (old.length < names.length) return;
  await deleteByName(old, { remove: (name) => cluster.remove("Secret", name, home.namespace) });
  memory.keysSweptBelow = lowest;
  memory.keysSince = undefined;
}
