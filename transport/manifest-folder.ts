/**
 * ManifestFolder: reads the manifests of a folder, and says when they changed.
 *
 * A change is reported once the files hold still, so that a half-written file is not taken for a change.
 * The kernel's events wake us; a look a second catches what they miss (network folders, swapped links).
 *
 * @module
 */
import type { Stats } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { join, relative } from "node:path";
import { MAX_FILE_OCTETS, type ManifestFile } from "../crds/mod.ts";
import type { Clock } from "../lib/clock.ts";
import { openFolderEvents } from "./folder-events.ts";

export interface ManifestFolder {
  /** All manifests, of one moment: read again while they change. Paths are relative to the folder. */
  read(): Promise<readonly ManifestFile[]>;
  /** Calls `changed` after every change; the result stops it. */
  watch(changed: () => void): () => void;
}

const QUIET_MS = 25;
const POLL_MS = 1000;
const MAX_TRIES = 40;

/** Opens a folder of .yaml, .yml and .json files, subfolders included. Rejects when it is no folder. */
export async function openManifestFolder(directory: string, clock: Clock): Promise<ManifestFolder> {
  const facts = await stat(directory).catch((cause: unknown) => {
    throw new Error(`Cannot read manifests: there is no folder "${directory}"`, { cause });
  });
  if (!facts.isDirectory()) throw new Error(`Cannot read manifests: "${directory}" is no folder`);
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
      const folders = await listFolders(directory);
      if (stopped) return;
      events.follow(folders);
      if ((await signature(directory)) === seen()) return;
      await untilQuiet(directory, clock, seen());
      if (!stopped) changed();
    } catch {
      // The folder is gone for a moment (a swapped link); the next look tells.
    } finally {
      settling = false;
    }
  };
  const events = openFolderEvents(() => void settle());
  const poll = setInterval(() => void settle(), POLL_MS);
  void settle();
  return () => {
    stopped = true;
    events.close();
    clearInterval(poll);
  };
}

/** Resolves once two looks agree and no file has become empty; after a second in any case. */
async function untilQuiet(directory: string, clock: Clock, seen: string): Promise<void> {
  const known = new Set(seen.split("\n"));
  let before = await signature(directory);
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    await clock.sleep(QUIET_MS);
    const now = await signature(directory);
    // A file that is empty now is most likely one that is being written.
    const emptied = now.split("\n").some((row) => row.includes("|0|") && !known.has(row));
    if (now === before && !emptied) return;
    before = now;
  }
}

async function listFolders(directory: string): Promise<ReadonlyMap<string, bigint>> {
  const entries = await readdir(directory, { withFileTypes: true, recursive: true });
  const inner = entries
    .filter((entry) => entry.isDirectory())
    .map((entry) => relative(directory, join(entry.parentPath, entry.name)))
    .filter((path) => !isHidden(path));
  const rows = await Promise.all(
    ["", ...inner].map(async (path) => {
      const folder = join(directory, path);
      return [folder, (await stat(folder, { bigint: true })).ino] as const;
    }),
  );
  return new Map(rows);
}

function isHidden(path: string): boolean {
  return path.split("/").some((part) => part.startsWith("."));
}

async function listFiles(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true, recursive: true });
  return entries
    .map((entry) => relative(directory, join(entry.parentPath, entry.name)))
    .filter((path) => /\.(ya?ml|json)$/.test(path) && !isHidden(path))
    .sort();
}

async function readAll(directory: string): Promise<ManifestFile[]> {
  const files = await Promise.all(
    (await listFiles(directory)).map(async (path) => {
      const file = join(directory, path);
      try {
        const facts = await stat(file);
        if (facts.isDirectory()) return [];
        return [{ path, ...(await readOne(file, facts)) }];
      } catch (error) {
        const { code = String(error) } = error as NodeJS.ErrnoException;
        return [{ path, text: "", unreadable: `the file cannot be read: ${REASONS[code] ?? code}` }];
      }
    }),
  );
  return files.flat();
}

const REASONS: Readonly<Record<string, string>> = {
  EACCES: "permission denied",
  ELOOP: "the link leads to itself",
  ENOENT: "the link leads nowhere",
};

/** What is no file (a pipe, a device) would be waited for without end. */
async function readOne(file: string, facts: Stats): Promise<Omit<ManifestFile, "path">> {
  if (!facts.isFile()) return { text: "", unreadable: "this is no regular file" };
  if (facts.size > MAX_FILE_OCTETS)
    return { text: "", unreadable: `the file is larger than ${MAX_FILE_OCTETS / 2 ** 20} MiB` };
  return { text: await readFile(file, "utf8") };
}

/** Names, sizes and times of all files: equal means nothing changed. A size of 0 shows as "|0|". */
async function signature(directory: string): Promise<string> {
  const rows = await Promise.all(
    (await listFiles(directory)).map(async (path) => {
      const facts = await stat(join(directory, path), { bigint: true }).catch(() => undefined);
      return facts === undefined
        ? `${path}|unreadable`
        : `${path}|${facts.size}|${facts.mtimeNs}|${facts.ino}|${facts.mode}`;
    }),
  );
  return rows.join("\n");
}
