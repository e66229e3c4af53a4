/** Queue folders of a state folder: that of share 0 is `queue`, as of a transport that is not shared; then `queue-1` ... */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";

export interface QueueFolder {
  readonly share: number;
  readonly path: string;
}

export function queueFolder(state: string, share: number): string {
  return join(state, share === 0 ? "queue" : `queue-${share}`);
}

/** Those that hold a queue, in order of their shares. */
export function queueFolders(state: string): readonly QueueFolder[] {
  if (!existsSync(state)) return [];
  const shares = readdirSync(state).flatMap((name) => {
    if (name === "queue") return [0];
    const number = /^queue-([1-9]\d{0,3})$/.exec(name)?.[1];
    return number === undefined ? [] : [Number(number)];
  });
  return shares
    .toSorted((a, b) => a - b)
    .map((share) => ({ share, path: queueFolder(state, share) }))
    .filter(({ path }) => existsSync(join(path, "queue.db")));
}
