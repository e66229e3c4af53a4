/**
 * FolderEvents: the kernel's word that something changed in a set of folders.
 *
 * One watch a folder: Node's own recursive watch on Linux throws, where nobody can catch it, at a link that leads to itself.
 * A folder that was replaced by another of its name (another inode) is watched anew. Where the file system has no events,
 * none come.
 *
 * @module
 */
import { type FSWatcher, watch } from "node:fs";

export interface FolderEvents {
  /** From now on exactly these: path -> inode. */
  follow(folders: ReadonlyMap<string, bigint>): void;
  close(): void;
}

export function openFolderEvents(onEvent: () => void): FolderEvents {
  const open = new Map<string, { readonly inode: bigint; readonly watcher: FSWatcher | undefined }>();
  const forget = (path: string) => {
    open.get(path)?.watcher?.close();
    open.delete(path);
  };
  return {
    follow(folders) {
      for (const [path, { inode }] of open) if (folders.get(path) !== inode) forget(path);
      for (const [path, inode] of folders) {
        if (!open.has(path)) open.set(path, { inode, watcher: startWatcher(path, onEvent) });
      }
    },
    close() {
      for (const path of [...open.keys()]) forget(path);
    },
  };
}

/** undefined where there are no events, or no more watches to be had. */
function startWatcher(path: string, onEvent: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(path, onEvent);
    watcher.on("error", () => watcher.close());
    return watcher;
  } catch {
    return undefined;
  }
}
