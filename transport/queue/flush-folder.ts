/** Flushes a folder, so that the names in it survive a power failure. */
import { open } from "node:fs/promises";

export async function flushFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
