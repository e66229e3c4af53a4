/** The one gate: format, lint, types, architecture, generated files. `npm run check`; the same in CI. */
import { spawnSync } from "node:child_process";

const steps: readonly (readonly [string, string, ...string[]])[] = [
  ["format and lint", "biome", "check", "--error-on-warnings", "."],
  ["types", "tsc", "-p", "."],
  ["architecture", "vitest", "run", "test/architecture.test.ts", "--reporter=dot"],
  ["generated files", "node", "bin/gen.ts", "--check"],
];

let failed = 0;
for (const [name, command, ...args] of steps) {
  const { status } = spawnSync(command, args, { stdio: "inherit" });
  if (status !== 0) failed += 1;
  console.log(`${status === 0 ? "ok  " : "FAIL"} ${name}`);
}
process.exit(failed === 0 ? 0 : 1);
