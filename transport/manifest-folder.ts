/**
 * ManifestFolder: reads the manifests of a folder, and says when they changed.
 *
 * A change is reported once the files hold still, so that a half-written file is not taken for a change.
 * The kernel's events wake us; a look a second catches what they miss (network folders, swapped links).
 *
 * @module
 */
import { type FSWatcher, watch } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { join, relative } from "node:path";
import type { Clock } from "../lib/clock.ts";

export interface ManifestFile {
  /** Relative to the folder. */
  readonly path: string;
  readonly text: string;
}

export interface ManifestFolder {
  /** All manifests, of one moment: read again while they change. */
  read(): Promise<readonly ManifestFile[]>;
  /** Calls `changed` after every change; the result stops it. */
  watch(changed: () => void): () => void;
}

const QUIET_MS = 25;
const POLL_MS = 1000;
const MAX_TRIES = 40;

/** Opens a folder of .yaml, .yml and .json files, subfolders included. Rejects when it is no folder. */
export async function openManifestFolder(directory: string, clock: Clock): Promise<ManifestFolder> {
  if (!(await stat(directory)).isDirectory())
    throw new Error(`Cannot read manifests: "${directory}" is no folder`);
  let seen = "";
  return {
    async read() {
      for (let tries = 0; ; tries += 1) {
        const before = await signature(directory);
        const files = await readAll(directory);
        seen = await signature(directory);
        if (before === seen || tries >= MAX_TRIES) return files;
        await clock.sleep(QUIET_MS);
      }
    },
    watch: (changed) => watchFolder(directory, { changed, clock, seen: () => seen }),
  };
}

interface WatchOptions {
  changed(): void;
  readonly clock: Clock;
  seen(): string;
}

function watchFolder(directory: string, { changed, clock, seen }: WatchOptions): () => void {
  let stopped = false;
  let settling = false;
  const settle = async () => {
    if (settling || stopped) return;
    settling = true;
    try {
      if ((await signature(directory)) === seen()) return;
      await untilQuiet(directory, clock);
      if (!stopped) changed();
    } catch {
      // The folder is gone for a moment (a swapped link); the next look tells.
    } finally {
      settling = false;
    }
  };
  const watcher = startWatcher(directory, () => void settle());
  const poll = setInterval(() => void settle(), POLL_MS);
  return () => {
    stopped = true;
    watcher?.close();
    clearInterval(poll);
  };
}

/** Resolves once two looks agree and no file is empty; after a second in any case. */
async function untilQuiet(directory: string, clock: Clock): Promise<void> {
  let before = await signature(directory);
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    await clock.sleep(QUIET_MS);
    const now = await signature(directory);
    // An empty file is most likely one that is being written.
    if (now === before && !now.includes("|0|")) return;
    before = now;
  }
}

/** undefined where the file system has no events: polling serves alone. */
function startWatcher(directory: string, onEvent: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(directory, { recursive: true, persistent: true }, onEvent);
    watcher.on("error", () => watcher.close());
    return watcher;
  } catch {
    return undefined;
  }
}

async function listFiles(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true, recursive: true });
  return entries
    .map((entry) => relative(directory, join(entry.parentPath, entry.name)))
    .filter((path) => /\.(ya?ml|json)$/.test(path) && !path.split("/").some((part) => part.startsWith(".")))
    .sort();
}

async function readAll(directory: string): Promise<ManifestFile[]> {
  const files = await Promise.all(
    (await listFiles(directory)).map(async (path) => {
      const text = await readFile(join(directory, path), "utf8").catch(() => undefined);
      return text === undefined ? [] : [{ path, text }];
    }),
  );
  return files.flat();
}

/** Names, sizes and times of all files: equal means nothing changed. A size of 0 shows as "|0|". */
async function signature(directory: string): Promise<string> {
  const rows = await Promise.all(
    (await listFiles(directory)).map(async (path) => {
      const facts = await stat(join(directory, path), { bigint: true }).catch(() => undefined);
      return facts === undefined ? "" : `${path}|${facts.size}|${facts.mtimeNs}|${facts.ino}`;
    }),
  );
  return rows.join("\n");
}
