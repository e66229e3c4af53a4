/** A round: one transport in one reconciliation, with what is remembered of it. */
import { type Attempts, openAttempts } from "./attempts.ts";
import type { Home } from "./cluster.ts";
import type { HeldHead } from "./held.ts";
import { isOwnedBy, ownerReference } from "./labels.ts";
import { newerHead, restoreMemory, type TransportMemory } from "./memory.ts";
import type { OperatorDeps } from "./own.ts";
import type { HeldObject } from "./types.ts";

export interface Round {
  readonly key: string;
  readonly object: HeldObject;
  readonly home: Home;
  readonly memory: TransportMemory;
  readonly isDeleting: boolean;
  readonly attempts: Attempts;
}

/** A MailTransport of the same name that was deleted and made anew begins from nothing. */
export async function openRound(
  key: string,
  object: HeldObject,
  { memories, deps }: { memories: Map<string, TransportMemory>; deps: OperatorDeps },
): Promise<Round> {
  const { metadata } = object;
  const uid = metadata.uid ?? "";
  const home = {
    namespace: metadata.namespace ?? "",
    transport: metadata.name,
    owner: ownerReference(metadata),
  };
  const known = memories.get(key);
  const memory = known?.uid === uid ? known : await restoreMemory({ ...deps, home });
  memories.set(key, memory);
  const head = deps.view.head(key);
  const seen = head !== undefined && isOwnedBy(head.metadata, home.owner) ? head : undefined;
  memory.head = newerHead(memory.head, seen);
  if (seen !== undefined && isSameVersion(memory.head, seen)) memory.isHeadSeen = true;
  const isDeleting = metadata.deletionTimestamp !== undefined;
  return { key, object, home, memory, isDeleting, attempts: openAttempts() };
}

function isSameVersion(a: HeldHead | undefined, b: HeldHead): boolean {
  return a?.metadata.resourceVersion === b.metadata.resourceVersion;
}
