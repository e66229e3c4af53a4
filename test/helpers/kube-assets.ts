/**
 * Where the programs of a real Kubernetes control plane lie: KUBEBUILDER_ASSETS, then the caches of this user.
 *
 *   const assets = kubeAssets();
 *   describe.skipIf(assets === undefined)("...", () => ...);
 *
 * @module
 */
import { accessSync, constants } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

export interface KubeAssets {
  readonly etcd: string;
  readonly apiServer: string;
}

export const KUBE_VERSION = "1.34.4";
export const ETCD_VERSION = "3.6.6";
/** Where a build puts them. */
export const KUBE_CACHE = join(homedir(), ".cache/postroom/kube", KUBE_VERSION);

/** undefined: not on this machine. */
export function kubeAssets(): KubeAssets | undefined {
  const named = process.env.KUBEBUILDER_ASSETS;
  // A name that holds nothing is a mistake to be seen, not to be mended from elsewhere.
  const folders = named
    ? [named]
    : [KUBE_CACHE, join(homedir(), ".cache/kube-from-source", KUBE_VERSION), "/usr/local/kubebuilder/bin"];
  return folders
    .map((folder) => ({ etcd: join(folder, "etcd"), apiServer: join(folder, "kube-apiserver") }))
    .find(({ etcd, apiServer }) => isProgram(etcd) && isProgram(apiServer));
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
