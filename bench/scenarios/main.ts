/**
 * Special scenarios of the speed bench, one after the other; each stands alone.
 *
 *   npm run bench:scenarios [-- NAME ...] [-- --quick] [-- --runs N]
 *   npm run bench:scenarios -- --tables      writes the tables again
 *
 * Writes docs/benchmarks/scenarios.json and scenarios.md (with --quick nothing); scenarios that were not run keep their
 * part. Exit 1 when one could not be run.
 *
 * @module
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ROOT } from "../processes.ts";
import { deadHop } from "./dead-hop.ts";
import { durability } from "./durability.ts";
import { createGround } from "./ground.ts";
import { idleConnections } from "./idle-connections.ts";
import { latency } from "./latency.ts";
import { machineLines } from "./machine.ts";
import { findingsMarkdown, markdownOf, type Recorded } from "./markdown.ts";
import { reload } from "./reload.ts";
import { rules } from "./rules.ts";
import type { Scenario } from "./scenario.ts";
import { slowHop } from "./slow-hop.ts";
import { workers } from "./workers.ts";

const SCENARIOS: readonly Scenario[] = [
  latency,
  idleConnections,
  deadHop,
  slowHop,
  reload,
  rules,
  workers,
  durability,
];
const LONGEST_MS = 15 * 60_000;
const RESULTS = join(ROOT, "docs/benchmarks/scenarios.json");
const TABLES = join(ROOT, "docs/benchmarks/scenarios.md");

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: "boolean", default: false },
    tables: { type: "boolean", default: false },
    runs: { type: "string" },
  },
});
const isQuick = values.quick;
const unknown = positionals.filter((name) => SCENARIOS.every((scenario) => scenario.name !== name));
if (unknown.length > 0) {
  console.error(`No scenario "${unknown.join('", "')}": ${SCENARIOS.map(({ name }) => name).join(", ")}`);
  process.exit(2);
}
// What was started ends with this process, by its guards.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => process.exit(130));

if (values.tables) writeTables(recordedBefore());
else
  for (const scenario of SCENARIOS) {
    if (positionals.length === 0 || positionals.includes(scenario.name)) await runOne(scenario);
  }

async function runOne(scenario: Scenario): Promise<void> {
  const { name } = scenario;
  const say = (line: string) => console.log(`${name}: ${line}`);
  const began = performance.now();
  const machine = machineLines();
  const ground = createGround({ isQuick, runs: Number(values.runs ?? (isQuick ? 2 : 5)), say });
  try {
    const findings = await withinTime(scenario.run(ground));
    const seconds = (performance.now() - began) / 1000;
    console.log(`\n## ${scenario.title}\n${findingsMarkdown(findings)}\n`);
    say(`took ${Math.round(seconds)} s${isQuick ? "; a quick run, its rates mean nothing" : ""}`);
    if (isQuick) return;
    const command = `npm run bench:scenarios -- ${name}${values.runs === undefined ? "" : ` --runs ${values.runs}`}`;
    record(name, { findings, at: new Date().toISOString(), machine, command, seconds });
  } catch (fault) {
    console.error(`${name}: FAILED:`, fault);
    process.exitCode = 1;
  } finally {
    await ground.end();
  }
}

/** Whatever hangs then ends with the ground. */
async function withinTime<Found>(found: Promise<Found>): Promise<Found> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`Not done in ${LONGEST_MS / 60_000} minutes`)), LONGEST_MS);
  });
  return Promise.race([found, late]).finally(() => clearTimeout(timer));
}

function record(name: string, one: Recorded): void {
  const recorded = { ...recordedBefore(), [name]: one };
  writeFileSync(RESULTS, `${JSON.stringify(recorded, undefined, 1)}\n`);
  writeTables(recorded);
}

function recordedBefore(): Readonly<Record<string, Recorded>> {
  return existsSync(RESULTS) ? (JSON.parse(readFileSync(RESULTS, "utf8")) as Record<string, Recorded>) : {};
}

function writeTables(recorded: Readonly<Record<string, Recorded>>): void {
  writeFileSync(TABLES, markdownOf(SCENARIOS, recorded));
}
