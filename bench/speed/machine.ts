/** Facts of this machine that figures depend on. */
import { readFileSync } from "node:fs";
import { cpus, loadavg, release, tmpdir, totalmem } from "node:os";
import type { Machine } from "./result.ts";

export function thisMachine(): Machine {
  const processors = cpus();
  return {
    processor: processors[0]?.model ?? "unknown",
    cores: processors.length,
    memoryGigabytes: Math.round(totalmem() / 2 ** 30),
    kernel: `Linux ${release()}`,
    distribution: /^PRETTY_NAME="(.*)"$/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1] ?? "unknown",
    node: process.version,
    disk: diskOf(tmpdir(), readFileSync("/proc/mounts", "utf8")),
    loadBefore: loadavg()[0] ?? Number.NaN,
  };
}

/** File system, device and options of what is mounted closest above the path. */
export function diskOf(path: string, mounts: string): string {
  const found = mounts
    .split("\n")
    .map((line) => line.split(" "))
    .filter(([, mount = ""]) => mount === "/" || path === mount || path.startsWith(`${mount}/`))
    .toSorted(([, a = ""], [, b = ""]) => a.length - b.length)
    .at(-1);
  if (found === undefined) return "unknown";
  const [device, , type, options] = found;
  return `${type} on ${device} (${options})`;
}
