/** The machine and what lies on its disk: printed with every figure. */
import { spawnSync } from "node:child_process";
import { cpus, release, tmpdir, totalmem } from "node:os";

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

export function machineLines(): string[] {
  const { device, fileSystem, mountOptions } = diskOfQueues();
  const processors = cpus();
  return [
    `${processors.length} cores (${processors[0]?.model.trim() ?? "unknown"}), ${Math.round(totalmem() / 2 ** 30)} GiB memory, Linux ${release()}`,
    `queues on ${device}, ${fileSystem} (${mountOptions})`,
    `Node ${process.version}, Postfix ${outputOf("postconf", ["-h", "mail_version"]) || "not there"}, Postroom at ${outputOf("git", ["-C", import.meta.dirname, "describe", "--always", "--dirty"])}`,
  ];
}

function outputOf(command: string, args: readonly string[]): string {
  return spawnSync(command, args, { encoding: "utf8" }).stdout?.trim() ?? "";
}
