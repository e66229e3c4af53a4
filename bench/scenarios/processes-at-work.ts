/** What processes cost: CPU time, memory, octets written, as the kernel counts them under /proc. */
import { readdirSync, readFileSync } from "node:fs";

const TICKS_PER_SECOND = 100;
const SECTOR_BYTES = 512;

/** Seconds of CPU of these processes, user and system, with those of their children that have ended. */
export function cpuSeconds(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + ticksOf(pid), 0) / TICKS_PER_SECOND;
}

/** Seconds of CPU of each thread, the busiest first. */
export function threadSeconds(pid: number): { readonly id: string; readonly seconds: number }[] {
  return readdirSync(`/proc/${pid}/task`)
    .map((id) => ({ id, seconds: ownTicks(fieldsOf(`/proc/${pid}/task/${id}/stat`)) / TICKS_PER_SECOND }))
    .sort((a, b) => b.seconds - a.seconds);
}

/** The most resident memory of a process since its start, in MB. */
export function peakMegabytes(pid: number): number {
  return Number(/VmHWM:\s+(\d+)/.exec(textOf(`/proc/${pid}/status`))?.[1]) / 1024;
}

/** Octets written to a block device by everybody. `device`: /dev/vda. */
export function deviceWrittenBytes(device: string): number {
  return deviceStat(device, 6) * SECTOR_BYTES;
}

/** Flushes that a block device did for everybody. */
export function deviceFlushes(device: string): number {
  return deviceStat(device, 15);
}

/** The process with this name that has this word in its command. */
export function processWith(name: string, word: string): number {
  const found = readdirSync("/proc")
    .filter((pid) => textOf(`/proc/${pid}/comm`).trim() === name)
    .find((pid) => textOf(`/proc/${pid}/cmdline`).split("\0").includes(word));
  if (found === undefined) throw new Error(`No process "${name}" with "${word}"`);
  return Number(found);
}

/** Documentation/block/stat.rst of Linux. */
function deviceStat(device: string, field: number): number {
  const fields = textOf(`/sys/class/block/${device.replace("/dev/", "")}/stat`)
    .trim()
    .split(/\s+/);
  return Number(fields[field]);
}

/** With those of children that have ended. */
function ticksOf(pid: number): number {
  const fields = fieldsOf(`/proc/${pid}/stat`);
  return ownTicks(fields) + Number(fields[13] ?? 0) + Number(fields[14] ?? 0);
}

/** proc(5): utime and stime; the name before them may hold spaces and is cut off. */
function ownTicks(fields: readonly string[]): number {
  return Number(fields[11] ?? 0) + Number(fields[12] ?? 0);
}

function fieldsOf(file: string): string[] {
  const text = textOf(file);
  return text === "" ? [] : text.slice(text.lastIndexOf(")") + 2).split(" ");
}

/** Empty when the process is gone. */
function textOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
