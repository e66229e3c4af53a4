/**
 * Marks: which messages are being worked on, kept so that a crash can be blamed on them.
 *
 * One slot per mark in a small file, written with pwrite and not flushed: it survives the process,
 * not the machine. A power failure is nobody's fault.
 *
 * @module
 */
import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from "node:fs";

const SLOT = 256;

export interface Marks {
  /**
   * Marks an id; call the result when the work is done, twice does no harm. The id is forgotten at the end of the turn.
   * After close() nothing is marked.
   */
  mark(id: string): () => void;
  /** Forgets all marks: after they were counted, and at a clean end. */
  clear(): void;
  close(): void;
}

/** Ids that were marked when the last process ended. A torn or damaged slot is no id. */
export function readMarks(path: string): ReadonlySet<string> {
  const ids = new Set<string>();
  let content: Buffer;
  try {
    content = readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return ids;
    throw error;
  }
  for (let at = 0; at + 1 < content.length; at += SLOT) {
    const length = content[at] ?? 0;
    const id = content.subarray(at + 1, at + 1 + length).toString("utf8");
    if (length > 0 && Buffer.byteLength(id) === length) ids.add(id);
  }
  return ids;
}

/** Opens the file as it is; marks are written over it after clear(). */
export function openMarks(path: string): Marks {
  const file = openSync(path, "a+", 0o600);
  closeSync(file);
  const slots = openSync(path, "r+");
  const slot = Buffer.alloc(SLOT);
  const free: number[] = [];
  /** Slots whose work is done and that still hold its id. */
  const stale = new Set<number>();
  let used = 0;
  let open = true;
  const wipe = () => {
    if (open)
      for (const [first, count] of runsOf(stale))
        writeSync(slots, blank(count), 0, count * SLOT, first * SLOT);
    stale.clear();
  };
  return {
    mark(id) {
      if (!open) return () => {};
      const length = Buffer.byteLength(id);
      if (length >= SLOT) throw new RangeError(`Cannot mark message "${id}": the id is too long`);
      const at = free.pop() ?? used++;
      stale.delete(at);
      slot[0] = length;
      slot.write(id, 1);
      writeSync(slots, slot, 0, length + 1, at * SLOT);
      let marked = true;
      return () => {
        if (!marked || !open) return;
        marked = false;
        free.push(at);
        // At the end of the turn, in one write with others: many a slot is used again before.
        if (stale.size === 0) setImmediate(wipe);
        stale.add(at);
      };
    },
    clear() {
      ftruncateSync(slots, 0);
      free.length = 0;
      stale.clear();
      used = 0;
    },
    close() {
      wipe();
      open = false;
      closeSync(slots);
    },
  };
}

/** Slots that lie side by side, as [first, how many]. */
function runsOf(slots: ReadonlySet<number>): [number, number][] {
  const runs: [number, number][] = [];
  for (const at of [...slots].sort((a, b) => a - b)) {
    const last = runs.at(-1);
    if (last !== undefined && last[0] + last[1] === at) last[1] += 1;
    else runs.push([at, 1]);
  }
  return runs;
}

let zeros = Buffer.alloc(SLOT);

function blank(count: number): Buffer {
  if (zeros.length < count * SLOT) zeros = Buffer.alloc(count * SLOT);
  return zeros;
}
