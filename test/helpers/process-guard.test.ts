import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { eventually } from "./eventually.ts";
import { run } from "./run.ts";

const guardUrl = JSON.stringify(new URL("./process-guard.ts", import.meta.url).href);
const folder = mkdtempSync(join(tmpdir(), "postroom-guard-"));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Where nobody reaps orphans, they stay as zombies. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, "latin1"));
  } catch {
    return false;
  }
}

test("a process that is killed takes its children and folders along, but not those that it ended itself", async () => {
  const { output } = await run(process.execPath, [
    "--input-type=module",
    "-e",
    `
      import { spawn } from "node:child_process";
      import { once } from "node:events";
      import { guarded, guardFolder } from ${guardUrl};
      const start = () => guarded(spawn("sleep", ["600"], { stdio: "ignore" }));
      guardFolder(${JSON.stringify(folder)});
      const [first, ended, last] = [start(), start(), start()];
      ended.kill();
      await once(ended, "exit");
      process.stdout.write([first.pid, last.pid].join(" "), () => process.kill(process.pid, "SIGKILL"));
    `,
  ]);
  const pids = output.split(" ").map(Number);
  expect(pids).toHaveLength(2);
  await eventually(() => !pids.some(isAlive) && !existsSync(folder));
});
