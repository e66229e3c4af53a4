/** A small disk that can really be full: a tmpfs, where the tests have the right to mount one. */
import { execFileSync } from "node:child_process";

/** Mounts it; call the result to unmount. undefined: no right to. */
export function mountSmallDisk(directory: string, size: string): (() => void) | undefined {
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", directory], { stdio: "ignore" });
  } catch {
    return undefined;
  }
  return () => void execFileSync("umount", ["-l", directory], { stdio: "ignore" });
}
