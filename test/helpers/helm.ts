/**
 * Helm, and what it makes of a chart of this project.
 *
 *   const { objects } = await renderChart("charts/postroom", { valueFiles: ["ci/default-values.yaml"] });
 *
 * The program is looked for on the PATH, then in the caches of kube-assets.ts.
 *
 * @module
 */
import { execFile } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import * as yaml from "js-yaml";
import { KUBE_CACHE, KUBE_VERSION } from "./kube-assets.ts";

const TIMEOUT_MS = 120_000;
const MAX_OUTPUT = 2 ** 26;
const ROOT = join(import.meta.dirname, "../..");

export interface RenderedObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  // biome-ignore lint/suspicious/noExplicitAny: tests look into objects of every kind.
  readonly [field: string]: any;
}

export interface RenderOptions {
  /** Relative to the chart. */
  readonly valueFiles?: readonly string[];
  /** As of --set-json: "image.tag" -> "1.0". */
  readonly values?: Readonly<Record<string, unknown>>;
  readonly release?: string;
  readonly namespace?: string;
}

/** undefined: not on this machine. */
export function helmProgram(): string | undefined {
  const folders = [
    ...(process.env.PATH ?? "").split(delimiter),
    KUBE_CACHE,
    join(homedir(), ".cache/kube-from-source", KUBE_VERSION),
  ];
  return folders
    .filter((folder) => folder !== "")
    .map((folder) => join(folder, "helm"))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

export interface HelmAnswer {
  /** null: killed. */
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Helm with no file of this user's. */
export function helm(...args: readonly string[]): Promise<HelmAnswer> {
  const program = helmProgram();
  if (program === undefined) throw new Error("There is no helm on this machine");
  const home = join(tmpdir(), "postroom-helm");
  const env = { ...process.env, HELM_CACHE_HOME: home, HELM_CONFIG_HOME: home, HELM_DATA_HOME: home };
  return new Promise((resolve) => {
    const options = { env, timeout: TIMEOUT_MS, maxBuffer: MAX_OUTPUT };
    const child = execFile(program, args, options, (_error, stdout, stderr) =>
      resolve({ status: child.exitCode, stdout, stderr }),
    );
  });
}

/** Throws with Helm's own words. */
export async function helmOrThrow(...args: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await helm(...args);
  if (status !== 0) throw new Error(`helm ${args[0]}: ${stderr}${stdout}`);
  return stdout;
}

/** Arguments of helm template, install and upgrade behind the release's name. */
export function chartArgs(
  chart: string,
  { valueFiles = [], values = {}, namespace }: RenderOptions,
): string[] {
  return [
    join(ROOT, chart),
    ...(namespace === undefined ? [] : ["--namespace", namespace]),
    ...valueFiles.flatMap((file) => ["--values", join(ROOT, chart, file)]),
    ...Object.entries(values).flatMap(([path, value]) => ["--set-json", `${path}=${JSON.stringify(value)}`]),
  ];
}

/** Throws with Helm's own words. */
export async function renderChart(chart: string, options: RenderOptions = {}): Promise<RenderedObject[]> {
  const args = [options.release ?? "postroom", ...chartArgs(chart, options), "--kube-version", KUBE_VERSION];
  const text = await helmOrThrow("template", ...args);
  return yaml.loadAll(text).filter((one): one is RenderedObject => typeof one === "object" && one !== null);
}
