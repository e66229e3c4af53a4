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
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
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
const PREFIX = "postroom-bench-";
let groups = 0;

export function cpuGroup(): CpuGroup {
  const hierarchy = hierarchyIn(readFileSync("/proc/mounts", "utf8"));
  if (hierarchy === undefined) return NONE;
  if (groups === 0) sweep(hierarchy.mount);
  groups += 1;
  const folder = join(hierarchy.mount, `${PREFIX}${process.pid}-${groups}`);
  if (!succeeds(() => mkdirSync(folder))) return NONE;
  return {
    add(pids) {
      // A process that is gone by now had its time for itself.
      for (const pid of pids) succeeds(() => writeFileSync(join(folder, "cgroup.procs"), String(pid)));
    },
    seconds: () => hierarchy.secondsIn(readFileSync(join(folder, hierarchy.file), "utf8")),
    // What was killed may still be on its way out.
    remove() {
      if (!succeeds(() => rmdirSync(folder)))
        process.once("exit", () => void succeeds(() => rmdirSync(folder)));
    },
  };
}

/** Groups of benches that are gone. */
function sweep(mount: string): void {
  for (const name of readdirSync(mount).filter((one) => one.startsWith(PREFIX))) {
    const pid = name.slice(PREFIX.length).split("-")[0];
    if (!existsSync(`/proc/${pid}`)) succeeds(() => rmdirSync(join(mount, name)));
  }
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
