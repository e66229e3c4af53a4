/**
 * Hostile: attacks one running transport with everything we know, and looks whether it stands.
 *
 * Between attacks ordinary mail must flow; at the end memory, open files and the log are looked at. Bounded: under three minutes.
 * Usage: node bench/hostile.ts [attack ...]. One JSON line of figures; exit 1 on any violation.
 *
 * @module
 */

import type { Attack, Outcome } from "./hostile-clients.ts";
import * as clients from "./hostile-clients.ts";
import { BODY_MARKER, openGround, PASSWORD_MARKER, pause, sendOrdinary, within } from "./hostile-ground.ts";
import * as surroundings from "./hostile-surroundings.ts";

/** Twice each: the first round fills what a process keeps for good, the second one shows growth. */
const BY_CLIENTS: Readonly<Record<string, Attack>> = {
  smuggling: clients.smuggling,
  oversized: clients.oversized,
  mimeBombs: clients.mimeBombs,
  resets: clients.resets,
  bdat: clients.bdat,
  bruteForce: clients.bruteForce,
  recipients: clients.recipients,
  floods: clients.floods,
  randomOctets: clients.randomOctets,
};
const BY_SURROUNDINGS: Readonly<Record<string, Attack>> = {
  nextHops: surroundings.nextHops,
  manifests: surroundings.manifests,
  tracking: surroundings.tracking,
  secondProcess: surroundings.secondProcess,
  clock: surroundings.clock,
  fullDisk: surroundings.fullDisk,
};
const MAX_GROWTH_MB = 30;
/** Connections kept to next hops are files, too: 20 each at most. */
const MAX_FILES_LEFT = 40;

const chosen = process.argv.slice(2);
const ground = await openGround();
const violations: string[] = [];
const seconds: Record<string, number> = {};
const figures: Record<string, Outcome["figures"]> = {};
const check = (holds: boolean, violation: string) => {
  if (!holds) violations.push(violation);
};

let sent = 0;
async function mailFlows(after: string): Promise<void> {
  sent += 1;
  const tag = `ordinary-${sent}`;
  const began = performance.now();
  const taken = ground.exitCode() === undefined && (await sendOrdinary(ground.port, tag));
  check(taken, `after ${after}: ordinary mail was not taken`);
  if (taken)
    check(
      await within(10_000, () => ground.arrived.has(tag)),
      `after ${after}: ordinary mail did not arrive`,
    );
  slowest = Math.max(slowest, performance.now() - began);
}
let slowest = 0;

async function run(attacks: Readonly<Record<string, Attack>>): Promise<void> {
  for (const [name, attack] of Object.entries(attacks)) {
    if (ground.exitCode() !== undefined || (chosen.length > 0 && !chosen.includes(name))) continue;
    const began = performance.now();
    const outcome = await attack(ground).catch(
      (error: Error) => ({ violations: [error.message] }) as Outcome,
    );
    seconds[name] = Math.round((performance.now() - began) / 100) / 10;
    if (outcome.figures !== undefined) figures[name] = outcome.figures;
    violations.push(...(outcome.violations ?? []).map((violation) => `${name}: ${violation}`));
    await mailFlows(name);
  }
}

for (let n = 0; n < 100; n += 1) await mailFlows("the start");
const memory = [await ground.settledMemory()];
const files = [ground.openFiles()];
const letGo = await clients.openSlowClients(ground.port);
for (let round = 0; round < 3; round += 1) {
  await run(BY_CLIENTS);
  if (ground.exitCode() === undefined) memory.push(await ground.settledMemory());
}
await run(BY_SURROUNDINGS);
figures.slowClients = { connections: 300, stillOpen: letGo().open };
if (ground.exitCode() === undefined) {
  await pause(2000);
  await mailFlows("all of it");
  memory.push(await ground.settledMemory());
  files.push(ground.openFiles());
  figures.process = { memory: memory.join(" "), openFiles: files.join(" ") };
  const [, , second = 0, third = 0] = memory;
  check(third - second < MAX_GROWTH_MB, `memory grew from round to round: ${memory.join(" ")} MB`);
  check((files[1] ?? 0) - (files[0] ?? 0) < MAX_FILES_LEFT, `open files grew: ${files.join(" ")}`);
  figures.stop = await surroundings.stopUnderLoad(ground, check);
} else check(false, `the process ended with ${ground.exitCode()}`);
const log = ground.log();
for (const marker of [
  BODY_MARKER,
  PASSWORD_MARKER,
  Buffer.from(PASSWORD_MARKER).toString("base64").slice(2, 16),
])
  check(!log.includes(marker), `"${marker}" stands in the log`);
for (const line of log
  .split("\n")
  .filter((one) => /"level":(?:60|"fatal")|uncaught|nhandled|TypeError|RangeError|Maximum call/.test(one))
  .slice(0, 5))
  check(false, `log: ${line.slice(0, 600)}`);
const errors = new Map<string, number>();
for (const [, text = ""] of log.matchAll(/"level":(?:50|"error").*"msg":"([^"]{0,60})/g))
  errors.set(text, (errors.get(text) ?? 0) + 1);
console.log(
  JSON.stringify({
    violations,
    ordinary: sent,
    slowestOrdinaryMs: Math.round(slowest),
    seconds,
    figures,
    logErrors: Object.fromEntries(errors),
  }),
);
await ground.close();
process.exit(violations.length === 0 ? 0 : 1);
