/** The machine and what lies on its disk: printed with every figure. */
import { spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { thisMachine } from "../speed/mod.ts";

export interface Disk {
  readonly device: string;
  readonly fileSystem: string;
  readonly mountOptions: string;
}

/** Where temporary folders, and so all queues of the scenarios, lie. */
export function diskOfQueues(): Disk {
  const [device = "unknown", fileSystem = "unknown", mountOptions = ""] = outputOf("findmnt", [
    ...["-n", "-o", "SOURCE,FSTYPE,OPTIONS", "-T", tmpdir()],
  ]).split(/\s+/);
  return { device, fileSystem, mountOptions };
}

/** As of now: to be asked before the first run. */
export function machineLines(): string[] {
  const { cores, processor, memoryGigabytes, kernel, distribution, disk, node, loadBefore } = thisMachine();
  const postfix = outputOf("postconf", ["-h", "mail_version"]) || "not there";
  const postroom = outputOf("git", ["-C", import.meta.dirname, "describe", "--always", "--dirty"]);
  return [
    `${cores} cores (${processor}), ${memoryGigabytes} GiB memory, ${kernel}, ${distribution}`,
    `queues on ${disk}`,
    `Node ${node}, Postfix ${postfix}, Postroom ${postroom || "of no known revision"}`,
    `load average before ${loadBefore.toFixed(2)}`,
  ];
}

function outputOf(command: string, args: readonly string[]): string {
  return spawnSync(command, args, { encoding: "utf8" }).stdout?.trim() ?? "";
}
