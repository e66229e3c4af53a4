/** Before the first test of this tier, and only then: programs that are missing are built; what stays missing is said. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { ETCD_VERSION, KUBE_CACHE, KUBE_VERSION, kubeAssets } from "../helpers/kube-assets.ts";

/** go.mod of k8s.io/kubernetes 1.34. */
const GO_NEEDED = 24;
const BUILD_TIMEOUT_MS = 1_200_000;

export function setup(): void {
  const reason = kubeAssets() === undefined ? obstacle() : undefined;
  if (reason !== undefined) console.log(`\nSKIPPED: test/api: no kube-apiserver and etcd: ${reason}`);
}

/** Builds them; why not, if there is a reason. */
function obstacle(): string | undefined {
  if (process.env.KUBEBUILDER_ASSETS) return "KUBEBUILDER_ASSETS names a folder without them";
  const go = spawnSync("go", ["env", "GOVERSION"], { encoding: "utf8" });
  if (go.status !== 0) return "set KUBEBUILDER_ASSETS or install Go";
  const version = go.stdout.trim();
  if (Number(/^go1\.(\d+)/.exec(version)?.[1] ?? 0) < GO_NEEDED) {
    return `${version} is too old to build them: set KUBEBUILDER_ASSETS or install Go 1.${GO_NEEDED}`;
  }
  const build = join(import.meta.dirname, "build-kube.sh");
  const { status } = spawnSync(build, [KUBE_VERSION, ETCD_VERSION, KUBE_CACHE], {
    stdio: "inherit",
    timeout: BUILD_TIMEOUT_MS,
  });
  return status === 0 && kubeAssets() !== undefined
    ? undefined
    : "the build from Go modules failed, see above";
}
