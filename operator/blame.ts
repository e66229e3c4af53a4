/** Objects that pods refused: they fall back to their last good form until they are edited. */
import { type Compilation, nameOf } from "./compile.ts";
import type { TransportMemory } from "./memory.ts";
import type { OperatorDeps } from "./own.ts";
import type { HeldObject, RolloutDecision } from "./types.ts";

/** Objects that a pod named when it refused: they fall back until they are edited. True when there is a new one. */
export function blame(
  memory: TransportMemory,
  compiled: Compilation | undefined,
  { state }: RolloutDecision,
  { view, log }: Pick<OperatorDeps, "view" | "log">,
): boolean {
  if (state.phase !== "Refused" || state.refused.digest !== compiled?.packed.digest) return false;
  const { pod, message, objects } = state.refused;
  const before = memory.refused.size;
  for (const name of objects) {
    const held = findObject(name, view);
    if (held?.resource === undefined || held.metadata.generation === undefined) continue;
    memory.refused.set(name, { generation: held.metadata.generation, message: `${pod}: ${message}` });
    log.warn({ object: name, pod, cause: message }, "object refused by a pod, its last good form stays");
  }
  return memory.refused.size > before;
}

/** kind/namespace/name -> generation of what is still refused. An edit is a new try. */
export function forgetMended(
  memory: TransportMemory,
  { view }: Pick<OperatorDeps, "view">,
): Map<string, number> {
  for (const [name, { generation }] of memory.refused) {
    if (findObject(name, view)?.metadata.generation !== generation) memory.refused.delete(name);
  }
  return new Map([...memory.refused].map(([name, { generation }]) => [name, generation]));
}

function findObject(name: string, view: OperatorDeps["view"]): HeldObject | undefined {
  const [kind = "", ...key] = name.split("/");
  const held = view.object(kind as HeldObject["kind"], key.join("/"));
  return held !== undefined && nameOf(held) === name ? held : undefined;
}
