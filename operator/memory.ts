/**
 * What the operator remembers of one transport between two reconciliations, and how it is won back after a restart.
 *
 * All of it can be lost: the head names what is in force, the chunks hold it. Another operator that takes over comes to the
 * same decisions and writes nothing.
 *
 * @module
 */
import type { TransportSnapshotSpec } from "../crds/delivery-kinds.ts";
import type { KubeObject } from "../lib/kube/types.ts";
import { compareVersions } from "../lib/kube/versions.ts";
import type { Logger } from "../lib/log.ts";
import {
  CertificateMemory,
  CompileMemory,
  decodeChunk,
  entriesByObject,
  indexDigests,
  Last,
  type Snapshot,
  UnpackMemory,
  unpackSnapshot,
} from "../snapshot/mod.ts";
import type { Cluster, Home } from "./cluster.ts";
import type { CompileOutcome } from "./compile.ts";
import type { HeldHead } from "./held.ts";
import { type HeldKeys, readKeysSecret } from "./keys.ts";
import { isOwnedBy } from "./labels.ts";

export interface TransportMemory {
  /** uid of the MailTransport this is about. */
  readonly uid: string;
  readonly compile: CompileMemory;
  readonly compiled: Last<CompileOutcome>;
  readonly unpack: UnpackMemory;
  /** As written last; the view may lag behind. */
  head: HeldHead | undefined;
  /** The view has shown that head: when it shows none after that, somebody deleted it. */
  isHeadSeen: boolean;
  /** What pods were last seen to serve without complaint: forms to fall back to. */
  lastGood: Snapshot | undefined;
  /** Entries of lastGood. */
  served: ReadonlyMap<string, unknown>;
  keys: HeldKeys | undefined;
  readonly certificates: CertificateMemory;
  /** namespace/name of the Secrets that the last compilation named. */
  secretNames: ReadonlySet<string> | undefined;
  /** The Secret of keys that is watched, by name. */
  keysFollowed: string | undefined;
  /** kind/namespace/name -> generation that a pod refused, and its words. */
  readonly refused: Map<string, { readonly generation: number; readonly message: string }>;
  /** Digest of a revision -> digests of its chunks, itself among them. */
  readonly chunks: Map<string, ReadonlySet<string>>;
  /** Octets of chunks, compressed, by digest. */
  readonly sizes: Map<string, number>;
  /** Digests surely written, though the view may not show them yet. */
  readonly written: Set<string>;
  /** monotonic(); when garbage was last looked for. */
  sweptAt: number;
  /** Secrets of keys below this number are gone; undefined: that is not known. */
  keysSweptBelow: number | undefined;
  /** The lowest number among the Secrets in use, and since when (monotonic()) it is. */
  keysSince: { readonly lowest: number; readonly at: number } | undefined;
  /** Failures of the last round, by their words: those that last are told in the status. */
  failing: ReadonlySet<string>;
  /** What was last said about it in an event. */
  said: string;
}

/** Reads back what the head says is in force. A part that is missing is done without. */
export async function restoreMemory({
  cluster,
  home,
  log,
}: {
  readonly cluster: Cluster;
  readonly home: Home;
  readonly log: Logger;
}): Promise<TransportMemory> {
  const { uid } = home.owner;
  const found = await cluster.readHead(home);
  const head = found !== undefined && isOwnedBy(found.metadata, home.owner) ? found : undefined;
  const memory: TransportMemory = {
    uid,
    compile: new CompileMemory(),
    compiled: new Last(),
    unpack: new UnpackMemory(),
    head,
    isHeadSeen: false,
    lastGood: undefined,
    served: new Map(),
    keys: undefined,
    certificates: new CertificateMemory(),
    secretNames: undefined,
    keysFollowed: undefined,
    refused: new Map(),
    chunks: new Map(),
    sizes: new Map(),
    written: new Set(),
    sweptAt: Number.NEGATIVE_INFINITY,
    keysSweptBelow: undefined,
    keysSince: undefined,
    failing: new Set(),
    said: "",
  };
  if (head === undefined) return memory;
  const { digest, keys } = head.spec.current;
  const snapshot = await readRevision(digest, memory, { cluster, home });
  if (snapshot === undefined)
    log.warn({ transport: home.transport, digest }, "snapshot in force cannot be read back");
  else remember(memory, snapshot);
  const newest = newestKeys(head.spec);
  const secret = newest === undefined ? undefined : await cluster.readSecret(newest, home);
  memory.keys = secret === undefined ? undefined : readKeysSecret(secret);
  if (keys !== undefined && memory.keys === undefined) {
    log.warn(
      { transport: home.transport, secret: keys.secret },
      "keys in force cannot be read back, they are written anew",
    );
  }
  return memory;
}

/** The snapshot is what pods serve. */
export function remember(memory: TransportMemory, snapshot: Snapshot): void {
  if (memory.lastGood === snapshot) return;
  memory.lastGood = snapshot;
  memory.served = entriesByObject(snapshot);
}

/** A revision from its chunks in the API server; undefined: they are not all there. */
export async function readRevision(
  digest: string,
  memory: TransportMemory,
  { cluster, home }: { cluster: Cluster; home: Home },
): Promise<Snapshot | undefined> {
  const index = textOfChunk(await cluster.readChunk(digest, home));
  const named = index === undefined ? undefined : indexDigests(index);
  if (index === undefined || named?.ok !== true) return undefined;
  memory.chunks.set(digest, new Set([digest, ...named.value]));
  const chunks = new Map([[digest, index]]);
  await Promise.all(
    named.value.map(async (part) => {
      const text = textOfChunk(await cluster.readChunk(part, home));
      if (text !== undefined) chunks.set(part, text);
    }),
  );
  const unpacked = unpackSnapshot({ digest, chunks }, memory.unpack);
  return unpacked.ok ? unpacked.value : undefined;
}

/** Text of a chunk; undefined: it is not there, or was changed. */
export function textOfChunk(chunk: KubeObject | undefined): string | undefined {
  if (chunk === undefined) return undefined;
  const decoded = decodeChunk(chunk.spec as Parameters<typeof decodeChunk>[0]);
  return decoded.ok ? decoded.value : undefined;
}

function newestKeys({ current, canary }: TransportSnapshotSpec): string | undefined {
  return canary?.keys?.secret ?? current.keys?.secret;
}

/** The one that was written later. */
export function newerHead(a: HeldHead | undefined, b: HeldHead | undefined): HeldHead | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return (compareVersions(a.metadata.resourceVersion, b.metadata.resourceVersion) ?? 0) >= 0 ? a : b;
}
