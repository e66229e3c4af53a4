/**
 * The cluster of all files of this tier: the one that CLUSTER_TEST_KUBECONFIG names (with CLUSTER_TEST_IMAGE, which its
 * nodes can pull or have), else one of our own, which is ended and unmounted after the last file, or when this process
 * is gone, however it went.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { run } from "../helpers/run.ts";
import type { ClusterPlace } from "./cluster.ts";
import { clusterPrograms } from "./parts.ts";

declare module "vitest" {
  interface ProvidedContext {
    cluster: ClusterPlace | undefined;
  }
}

const HERE = import.meta.dirname;
const IMAGE = "localhost/postroom:test";
const START_MS = 180_000;
const IMAGE_MS = 900_000;

export async function setup({ provide }: TestProject): Promise<(() => Promise<void>) | undefined> {
  const { CLUSTER_TEST_KUBECONFIG: kubeconfig, CLUSTER_TEST_IMAGE: image } = process.env;
  if (kubeconfig !== undefined) {
    if (image === undefined)
      throw new Error(
        "CLUSTER_TEST_KUBECONFIG is set: write CLUSTER_TEST_IMAGE too, an image its nodes can have",
      );
    provide("cluster", { kubeconfig, image });
    return undefined;
  }
  const programs = await clusterPrograms();
  if ("reason" in programs) {
    console.log(`\nSKIPPED: test/cluster: no cluster: ${programs.reason}`);
    provide("cluster", undefined);
    return undefined;
  }
  const folder = mkdtempSync("/var/tmp/postroom-cluster-");
  const guard = await startGuard(folder);
  try {
    const archive = (await script("image.sh", [IMAGE], IMAGE_MS)).trim().split("\n").at(-1) ?? "";
    const begun = performance.now();
    await script("up.sh", [folder, ...programs.folders], START_MS);
    await script("node.sh", [folder, "load", archive], START_MS);
    console.log(`test/cluster: node Ready and image loaded in ${seconds(begun)} s`);
  } catch (cause) {
    await guard.end();
    throw cause;
  }
  provide("cluster", { kubeconfig: join(folder, "admin.kubeconfig"), image: IMAGE, folder });
  return guard.end;
}

async function script(name: string, args: readonly string[], timeoutMs: number): Promise<string> {
  const { status, output } = await run(join(HERE, name), args, { timeoutMs });
  for (const line of output.split("\n")) if (line.startsWith("test/cluster: ")) console.log(line);
  if (status !== 0) throw new Error(`${name} failed:\n${output.split("\n").slice(-40).join("\n")}`);
  return output;
}

/** Holds the machine's one place for a cluster, and gives it back when its stdin ends, which our own end does too. */
async function startGuard(folder: string): Promise<{ end(): Promise<void> }> {
  const child: ChildProcess = spawn(
    "flock",
    [
      "/var/tmp/postroom-cluster.lock",
      "sh",
      "-c",
      'echo locked; cat >/dev/null; "$0" "$1"',
      join(HERE, "down.sh"),
      folder,
    ],
    { stdio: ["pipe", "pipe", "ignore"], detached: true },
  );
  if (child.stdout === null || child.stdin === null) throw new Error("The guard has no pipes");
  const closed = once(child, "close");
  const { stdin } = child;
  await Promise.race([once(child.stdout, "data"), closed]);
  return {
    async end() {
      stdin.end();
      await closed;
    },
  };
}

function seconds(begun: number): string {
  return ((performance.now() - begun) / 1000).toFixed(1);
}
