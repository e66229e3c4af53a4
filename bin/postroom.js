#!/usr/bin/env node
// The door of the command line. Plain JavaScript, so that any Node can read it: an older one than Postroom needs
// starts the Node that `npm install` brought, and says so in one line when there is none.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import module from "node:module";
import { constants } from "node:os";
import { fileURLToPath } from "node:url";

const NEEDED = 26;
const main = new URL("../cli/main.ts", import.meta.url);

if (Number.parseInt(process.versions.node, 10) >= NEEDED) {
  const cache = enableCache();
  // Worker threads look for it here.
  if (cache !== undefined) process.env.NODE_COMPILE_CACHE ??= cache;
  await import(main.href);
} else startWith(fileURLToPath(new URL("../node_modules/node/bin/node", import.meta.url)));

/**
 * Stripped and compiled once: a later start is quicker and needs 40 MB less. An image brings a cache with it, which
 * cannot be written to and fits the user and the kind of CPU it was made for; all others have the temporary folder.
 */
function enableCache() {
  const brought = fileURLToPath(new URL("../.compile-cache", import.meta.url));
  const own = existsSync(brought) ? module.enableCompileCache?.(brought).directory : undefined;
  return own ?? module.enableCompileCache?.().directory;
}

/** The same command in another process; signals and the exit code pass through. */
function startWith(node) {
  if (!existsSync(node)) {
    process.stderr.write(
      `postroom: Node ${NEEDED} is needed, this is ${process.version}: run "npm install", which brings it\n`,
    );
    process.exitCode = 2;
    return;
  }
  const child = spawn(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: "inherit" });
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("exit", (code, signal) => {
    process.exitCode = code ?? 128 + constants.signals[signal];
  });
}
