import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { queueFolder, queueFolders } from "./queue-folders.ts";

test("folders that hold a queue are found in order of their shares, and nothing else is", () => {
  const state = mkdtempSync(join(tmpdir(), "postroom-folders-"));
  for (const name of ["queue-10", "queue", "queue-2", "queue-02", "queue-x", "queue-3", "drop"]) {
    mkdirSync(join(state, name));
    if (name !== "queue-3") writeFileSync(join(state, name, "queue.db"), "");
  }
  expect(queueFolders(state)).toEqual(
    [0, 2, 10].map((share) => ({ share, path: queueFolder(state, share) })),
  );
  expect(queueFolders(join(state, "none"))).toEqual([]);
  rmSync(state, { recursive: true });
});
