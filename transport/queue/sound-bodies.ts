/** Sound bodies: tells items whose body is there from those that lost it. After a restart nobody has looked at the files yet. */
import type { Body } from "../../mail/message.ts";
import { type Bodies, DamagedBodyError } from "./bodies.ts";
import type { QueueItem } from "./store.ts";

/** The items that can be handed out; `setAside` has dealt with the others. */
export async function withSoundBodies(
  items: readonly QueueItem[],
  bodies: Pick<Bodies, "check">,
  setAside: (item: QueueItem, error: DamagedBodyError) => Promise<void>,
): Promise<readonly QueueItem[]> {
  if (items.every(({ message }) => message.body.kind === "inline")) return items;
  const sound: QueueItem[] = [];
  for (const item of items) {
    try {
      await bodies.check(item.message.body);
      sound.push(item);
    } catch (error) {
      if (error instanceof DamagedBodyError) await setAside(item, error);
      else sound.push(item); // Not known to be damaged: who reads it will see.
    }
  }
  return sound;
}

/** True when the first names no file, or the one that the second names. */
export function isSameFile(a: Body, b: Body): boolean {
  return a.kind === "inline" || (b.kind === "file" && a.name === b.name);
}
