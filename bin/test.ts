/** Runs every test tier that this machine can run, and ends with one plain line: `N passed, N failed, N skipped`. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const folder = mkdtempSync(join(tmpdir(), "postroom-test-"));
const report = join(folder, "report.json");
const { status } = spawnSync(
  "vitest",
  ["run", "--reporter=default", "--reporter=json", `--outputFile.json=${report}`, ...process.argv.slice(2)],
  { stdio: "inherit" },
);

interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numFailedTestSuites: number;
}
let counts: Report = { numPassedTests: 0, numFailedTests: 1, numPendingTests: 0, numFailedTestSuites: 1 };
try {
  counts = JSON.parse(readFileSync(report, "utf8"));
} catch {
  console.error("The test runner wrote no report");
}
rmSync(folder, { recursive: true, force: true });
// A file that fails to load has no failed test, but must not pass.
const failed = Math.max(counts.numFailedTests, status === 0 ? 0 : 1);
console.log(`${counts.numPassedTests} passed, ${failed} failed, ${counts.numPendingTests} skipped`);
process.exit(failed === 0 ? 0 : 1);
