/**
 * The CPU time of a server with all its processes, those that already ended too: a control group of its own.
 *
 *   const group = cpuGroup();
 *   group.add(pids);            // and whatever they start from now on
 *   group.seconds();            // since the group is there; undefined: the kernel offers us no groups
 *   group.remove();             // after their end
 *
 * @module
 */
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface CpuGroup {
  add(pids: readonly number[]): void;
  seconds(): number | undefined;
  remove(): void;
}

interface Hierarchy {
  readonly mount: string;
  /** In each group's folder. */
  readonly file: string;
  secondsIn(text: string): number;
}

const NONE: CpuGroup = { add: () => {}, seconds: () => undefined, remove: () => {} };
let groups = 0;

export function cpuGroup(): CpuGroup {
  const hierarchy = hierarchyIn(readFileSync("/proc/mounts", "utf8"));
  if (hierarchy === undefined) return NONE;
  groups += 1;
  const folder = join(hierarchy.mount, `postroom-bench-${process.pid}-${groups}`);
  if (!succeeds(() => mkdirSync(folder))) return NONE;
  return {
    add(pids) {
      // A process that is gone by now had its time for itself.
      for (const pid of pids) succeeds(() => writeFileSync(join(folder, "cgroup.procs"), String(pid)));
    },
    seconds: () => hierarchy.secondsIn(readFileSync(join(folder, hierarchy.file), "utf8")),
    remove: () => void succeeds(() => rmdirSync(folder)),
  };
}

/** The time's own hierarchy of version 1, else the one of version 2. */
function hierarchyIn(mounts: string): Hierarchy | undefined {
  const lines = mounts.split("\n").map((line) => line.split(" "));
  const first = lines.find(
    ([, , type, options]) => type === "cgroup" && options?.split(",").includes("cpuacct"),
  );
  if (first?.[1] !== undefined)
    return { mount: first[1], file: "cpuacct.usage", secondsIn: (text) => Number(text) / 1e9 };
  const second = lines.find(([, , type]) => type === "cgroup2");
  if (second?.[1] === undefined) return undefined;
  const secondsIn = (text: string) => Number(/^usage_usec (\d+)/m.exec(text)?.[1]) / 1e6;
  return { mount: second[1], file: "cpu.stat", secondsIn };
}

function succeeds(step: () => void): boolean {
  try {
    step();
    return true;
  } catch {
    return false;
  }
}
