/** Reads manifests named on the command line: files and folders. */
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { ManifestFile } from "../crds/mod.ts";

/** Every .yaml, .yml and .json file of the paths; folders are walked. Throws when a path does not exist. */
export async function readManifestFiles(paths: readonly string[]): Promise<ManifestFile[]> {
  const files = await Promise.all(paths.map(readPath));
  return files.flat();
}

async function readPath(path: string): Promise<ManifestFile[]> {
  const facts = await stat(path).catch(() => undefined);
  if (facts === undefined) throw new Error(`Cannot read "${path}": there is no such file or folder`);
  if (!facts.isDirectory()) return [{ path, text: await readFile(path, "utf8") }];
  const entries = await readdir(path, { withFileTypes: true, recursive: true });
  const names = entries
    .filter(
      (entry) => !entry.isDirectory() && /\.(ya?ml|json)$/.test(entry.name) && !entry.name.startsWith("."),
    )
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  return Promise.all(names.map(async (name) => ({ path: name, text: await readFile(name, "utf8") })));
}
