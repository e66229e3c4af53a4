/** What a cluster of our own is made of: Debian's programs, and Kubernetes' from Go modules, built once a machine. */
import { spawnSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { obstacle } from "../helpers/debian.ts";
import { ETCD_VERSION, KUBE_CACHE, KUBE_VERSION } from "../helpers/kube-assets.ts";

const FOLDERS = [KUBE_CACHE, join(homedir(), ".cache/kube-from-source", KUBE_VERSION)];
const CONTROL_PLANE = ["etcd", "kube-apiserver"];
const NODE = [
  "kube-controller-manager",
  "kube-scheduler",
  "kubelet",
  "kube-proxy",
  "helm",
  "coredns",
  "pause",
];
/** What is built by then stays, and the next run goes on from there. */
const BUILD_TIMEOUT_SECONDS = 1200;

/** Folders that hold all programs between them, or the reason why there is no cluster. */
export async function clusterPrograms(): Promise<{ folders: readonly string[] } | { reason: string }> {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return { reason: "needs root on Linux" };
  const lack = await obstacle([
    "containerd",
    "cni",
    "network",
    "kubectl",
    "buildah",
    "openssl",
    "swaks",
    "haproxy",
  ]);
  if (lack !== undefined) return { reason: lack };
  const missing = missingOf([...CONTROL_PLANE, ...NODE]);
  if (missing.length === 0) return { folders: FOLDERS };
  if (spawnSync("go", ["version"]).status !== 0)
    return { reason: `no ${missing.join(", ")}, and no Go to build them` };
  build(missing);
  const still = missingOf(missing);
  return still.length === 0
    ? { folders: FOLDERS }
    : { reason: `the build of ${still.join(", ")} failed, see above` };
}

function missingOf(names: readonly string[]): string[] {
  return names.filter((name) => !FOLDERS.some((folder) => isProgram(join(folder, name))));
}

function build(missing: readonly string[]): void {
  const ofControlPlane = missing.some((name) => CONTROL_PLANE.includes(name));
  const ofNode = missing.filter((name) => NODE.includes(name));
  if (ofControlPlane) bounded("../api/build-kube.sh", KUBE_VERSION, ETCD_VERSION, KUBE_CACHE);
  if (ofNode.length > 0) bounded("build.sh", KUBE_VERSION, KUBE_CACHE, ...ofNode);
}

/** timeout ends a script with its compilers. */
function bounded(script: string, ...args: readonly string[]): void {
  const path = join(import.meta.dirname, script);
  spawnSync("timeout", ["-k", "5", String(BUILD_TIMEOUT_SECONDS), path, ...args], { stdio: "inherit" });
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
