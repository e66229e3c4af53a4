/** Publishes what a head may name before it names it: keys, then chunks. What is there already is not written again. */
import type { KeysRef } from "../crds/delivery-kinds.ts";
import { encodeChunk, type PackedSnapshot, type Secrets } from "../snapshot/mod.ts";
import type { Cluster, Home } from "./cluster.ts";
import type { HeldChunk } from "./held.ts";
import { keysNumber, keysText, makeKeysSecret } from "./keys.ts";
import type { TransportMemory } from "./memory.ts";

/** Chunks written at the same time. */
const AT_ONCE = 8;
/** Names tried for a new Secret; taken ones are left from an operator that died between two writes. */
const MAX_TRIES = 32;

/** The Secret that holds these keys, made when what the pods have differs. undefined: there is nothing to hold. */
export async function publishKeys(
  secrets: Secrets,
  memory: TransportMemory,
  { cluster, home }: { cluster: Cluster; home: Home },
): Promise<KeysRef | undefined> {
  if (secrets.size === 0) return undefined;
  const text = keysText(secrets);
  if (memory.keys?.text === text) return memory.keys.ref;
  const first = keysNumber(memory.keys?.ref.secret ?? memory.head?.spec.current.keys?.secret ?? "") + 1;
  for (let number = first; number < first + MAX_TRIES; number += 1) {
    const { object, ref } = makeKeysSecret(text, { ...home, number });
    if (!(await cluster.createSecret(object))) continue;
    memory.keys = { ref, text, secrets };
    return ref;
  }
  throw new Error(
    `Cannot store the keys of ${home.namespace}/${home.transport}: ${MAX_TRIES} names are taken`,
  );
}

/** Writes the chunks that are not there. Returns the octets written, compressed. */
export async function publishChunks(
  packed: PackedSnapshot,
  memory: TransportMemory,
  { cluster, home, present }: { cluster: Cluster; home: Home; present: ReadonlyMap<string, HeldChunk> },
): Promise<number> {
  memory.chunks.set(packed.digest, new Set(packed.chunks.keys()));
  const isThere = (digest: string) =>
    memory.written.has(digest) || present.get(digest)?.owner === home.owner.uid;
  const missing = [...packed.chunks].filter(([digest]) => !isThere(digest)).values();
  let octets = 0;
  const worker = async () => {
    for (const [digest, text] of missing) {
      const spec = await encodeChunk(text);
      await cluster.writeChunk(spec, home);
      memory.written.add(digest);
      const size = Math.floor((spec.data.length * 3) / 4);
      memory.sizes.set(digest, size);
      octets += size;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return octets;
}
