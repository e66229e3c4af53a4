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
  if (!facts.isDirectory()) return [await readOne(path)];
  const entries = await readdir(path, { withFileTypes: true, recursive: true });
  const names = entries
    .filter(
      (entry) => !entry.isDirectory() && /\.(ya?ml|json)$/.test(entry.name) && !entry.name.startsWith("."),
    )
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  return Promise.all(names.map(readOne));
}

async function readOne(path: string): Promise<ManifestFile> {
  try {
    return { path, text: await readFile(path, "utf8") };
  } catch (error) {
    const { code = String(error) } = error as NodeJS.ErrnoException;
    return { path, text: "", unreadable: `the file cannot be read: ${code}` };
  }
}
