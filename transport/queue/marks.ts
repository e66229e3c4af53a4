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
const EMPTY = Buffer.alloc(1);

export interface Marks {
  /** Marks an id; call the result when the work is done, twice does no harm. */
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
  let used = 0;
  let open = true;
  return {
    mark(id) {
      const length = Buffer.byteLength(id);
      if (length >= SLOT) throw new RangeError(`Cannot mark message "${id}": the id is too long`);
      const at = free.pop() ?? used++;
      slot[0] = length;
      slot.write(id, 1);
      writeSync(slots, slot, 0, length + 1, at * SLOT);
      let marked = true;
      return () => {
        if (!marked || !open) return;
        marked = false;
        writeSync(slots, EMPTY, 0, 1, at * SLOT);
        free.push(at);
      };
    },
    clear() {
      ftruncateSync(slots, 0);
      free.length = 0;
      used = 0;
    },
    close() {
      open = false;
      closeSync(slots);
    },
  };
}
