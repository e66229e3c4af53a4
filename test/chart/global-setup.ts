/** Before the first test of the charts: Helm is built when it is missing and can be; what stays missing is said. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { helmProgram } from "../helpers/helm.ts";
import { KUBE_CACHE, KUBE_VERSION } from "../helpers/kube-assets.ts";

const BUILD_TIMEOUT_MS = 900_000;

export function setup(): void {
  if (helmProgram() === undefined && spawnSync("go", ["version"]).status === 0) {
    const build = join(import.meta.dirname, "../cluster/build.sh");
    spawnSync(build, [KUBE_VERSION, KUBE_CACHE, "helm"], { stdio: "inherit", timeout: BUILD_TIMEOUT_MS });
  }
  if (helmProgram() === undefined)
    console.log("\nSKIPPED: test/chart: no helm on the PATH, and no Go to build it");
}
