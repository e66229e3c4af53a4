/** Reads /proc: the processes that stem from one, and the memory they have together. */
import { readdirSync, readFileSync } from "node:fs";

/** The process and all that stem from it, as of now; empty when it is gone. */
export function processesOf(root: number): readonly number[] {
  const children = new Map<number, number[]>();
  for (const pid of readdirSync("/proc").map(Number).filter(Number.isInteger)) {
    const parent = parentOf(pid);
    if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), pid]);
  }
  const found = parentOf(root) === undefined ? [] : [root];
  for (const pid of found) found.push(...(children.get(pid) ?? []));
  return found;
}

/** Pages that several of them share are counted once (PSS). */
export function memoryMegabytes(pids: readonly number[]): number {
  const kilobytes = pids.map((pid) => {
    const rollup = readOr(`/proc/${pid}/smaps_rollup`, "");
    return Number(/^Pss:\s+(\d+)/m.exec(rollup)?.[1] ?? 0);
  });
  return kilobytes.reduce((sum, one) => sum + one, 0) / 1024;
}

/** proc_pid_stat(5): the fourth field, after a name in parentheses that may hold anything. */
function parentOf(pid: number): number | undefined {
  const stat = readOr(`/proc/${pid}/stat`, "");
  if (stat === "") return undefined;
  return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
}

function readOr(file: string, otherwise: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return otherwise;
  }
}
