/** Attacks from what surrounds the transport: next hops, manifests, disks, the clock, a second process, its end. */
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../lib/clock.ts";
import { freePort } from "../test/helpers/free-port.ts";
import { mountSmallDisk } from "../test/helpers/small-disk.ts";
import { openAdmin } from "../transport/queue/mod.ts";
import type { Attack } from "./hostile-clients.ts";
import {
  BODY_MARKER,
  ENVELOPE,
  type Ground,
  openSession,
  pause,
  sendOrdinary,
  within,
} from "./hostile-ground.ts";
import { greeted, ROOT, relayManifest, startTransportProcess, temporaryFolder } from "./processes.ts";

const quiet = { info() {}, warn() {}, error() {} };

/** Mail for every hostile next hop, and they have some seconds to do their worst. */
export const nextHops: Attack = async ({ port, hops, metric }) => {
  const violations: string[] = [];
  await Promise.all(
    hops.list.flatMap(({ name }) =>
      [1, 2, 3].map(async (n) => {
        if (!(await sendOrdinary(port, `${name}-${n}`, `x@${name}.hops.example`)))
          violations.push(`mail for ${name} was not taken`);
      }),
    ),
  );
  await pause(8000);
  const relayed = (await metric("postroom_deliveries_total")).filter((line) =>
    /result="(?:delivered|relayed[^"]*)"/.test(line),
  );
  const wrong = relayed.filter((line) => !line.includes('/out"'));
  if (relayed.length === wrong.length) violations.push("ordinary deliveries are not counted");
  if (wrong.length > 0) violations.push(`counted as relayed: ${wrong.join(" ")}`);
  return { figures: { hops: hops.list.length, takenBeforeDeath: hops.taken() }, violations };
};

/** 500 kinds of rubbish in the manifests folder, while mail flows. */
export const manifests: Attack = async (ground) => {
  const { manifests: folder, port } = ground;
  const violations: string[] = [];
  const path = join(folder, "rubbish.yaml");
  const bomb = `a0: &a0 [x]\n${Array.from({ length: 30 }, (_, n) => `a${n + 1}: &a${n + 1} [*a${n}, *a${n}, *a${n}]`).join("\n")}\n`;
  const large = `apiVersion: v1\nkind: ConfigMap\ndata:\n${"  key: value\n".repeat(420_000)}`;
  const whole =
    "apiVersion: postroom.dev/v1alpha1\nkind: TransportRule\nmetadata: {name: extra}\nspec: {actions: {deleteMessage: true}}\n";
  const kinds: readonly (() => void)[] = [
    () => writeFileSync(path, Buffer.from(Array.from({ length: 5000 }, (_, n) => (n * 7919) % 256))),
    () => writeFileSync(path, bomb),
    () => writeFileSync(path, ""),
    () => writeFileSync(path, whole.slice(0, -30)),
    () => writeFileSync(path, "[".repeat(100_000)),
    () => writeFileSync(path, "kind: MailTransport\nspec: 3\n---\n- 1\n---\n\0\n"),
    () => symlinkSync("/nonexistent", path),
    () => symlinkSync(path, path),
    () => mkdirSync(path),
    () => void spawnSync("mkfifo", [path]),
    () => writeFileSync(path, "{".repeat(70) + "}".repeat(70)),
    () =>
      writeFileSync(
        path,
        `apiVersion: postroom.dev/v1alpha1\nkind: TransportRule\nmetadata: {name: __proto__}\nspec: {constructor: 1, __proto__: {x: 1}}\n`,
      ),
  ];
  const aside = `${folder}-aside`;
  for (let n = 0; n < 500; n += 1) {
    rmSync(path, { recursive: true, force: true });
    if (n === 250) writeFileSync(path, large);
    else kinds[n % kinds.length]?.();
    if (n % 100 === 50) {
      rmSync(aside, { recursive: true, force: true });
      renameSync(folder, aside);
      await pause(50);
      cpSync(aside, folder, { recursive: true, filter: (source) => !source.endsWith("rubbish.yaml") });
    }
    await pause(n === 250 ? 1500 : 20);
    if (n % 25 === 0 && !(await sendOrdinary(port, `manifests-${n}`)))
      violations.push(`mail was not taken at change ${n}`);
  }
  rmSync(path, { recursive: true, force: true });
  rmSync(aside, { recursive: true, force: true });
  const more =
    "apiVersion: postroom.dev/v1alpha1\nkind: AcceptedDomain\nmetadata: {name: more}\nspec: {domains: [more.example]}\n";
  const began = performance.now();
  writeFileSync(join(folder, "more.yaml"), more);
  const isThere = async () => {
    const raw = await openSession(port, ENVELOPE[0] ?? "", "RCPT TO:<x@more.example>");
    raw.socket.destroy();
    return /\r\n250 2\.1\.5/.test(raw.text());
  };
  while (!(await isThere()) && performance.now() - began < 10_000) await pause(10);
  const ms = Math.round(performance.now() - began);
  if (ms >= 5000) violations.push(`a change after all the rubbish took ${ms} ms`);
  const arrived = await within(10_000, () => ground.arrived.has("manifests-475"));
  if (!arrived) violations.push("mail of the time did not arrive");
  return { figures: { changes: 500, msToEffectAfterwards: ms }, violations };
};

/** The tracking folder goes; it is there again with the next event. */
export const tracking: Attack = async ({ port, state }) => {
  const folder = join(state, "tracking");
  rmSync(folder, { recursive: true });
  await sendOrdinary(port, "tracking-1");
  await pause(300);
  await sendOrdinary(port, "tracking-2");
  const isBack = () => {
    try {
      return readdirSync(folder).length > 0;
    } catch {
      return false;
    }
  };
  return { violations: (await within(5000, isBack)) ? [] : ["the trace did not come back"] };
};

export const secondProcess: Attack = async ({ manifests: folder, state }) => {
  const args = [join(ROOT, "bin/postroom.js"), "run", "--manifests", folder, "--state", state];
  const { status, stderr, signal } = spawnSync(process.execPath, args, { encoding: "utf8", timeout: 15_000 });
  const isClear = status === 1 && /in use by process \d+/.test(stderr) && !/^\s+at /m.test(stderr);
  return {
    violations: isClear
      ? []
      : [`a second process: status ${status} ${signal ?? ""}, says ${stderr.slice(0, 300)}`],
  };
};

/** A day ahead, a day back, home again; mail is taken and arrives each time. */
export const clock: Attack = async ({ port, transport, arrived }) => {
  const violations: string[] = [];
  for (let jump = 1; jump <= 3; jump += 1) {
    transport.child.kill("SIGUSR2");
    await pause(500);
    if (!(await sendOrdinary(port, `clock-${jump}`))) violations.push(`jump ${jump}: mail was not taken`);
    if (!(await within(5000, () => arrived.has(`clock-${jump}`))))
      violations.push(`jump ${jump}: mail did not arrive`);
  }
  return { violations };
};

/** A transport of its own on a disk of 12 MB that fills, and has room again. */
export const fullDisk: Attack = async ({ sink, arrived }) => {
  const folder = temporaryFolder();
  const disk = join(folder.path, "state");
  mkdirSync(disk);
  const unmount = mountSmallDisk(disk, "12m");
  if (unmount === undefined) return { figures: { skipped: "needs root" } };
  const port = await freePort();
  const ballast = join(disk, "ballast");
  folder.write("manifests/all.yaml", relayManifest({ port, nextHopPort: sink.port }));
  let log = "";
  const transport = startTransportProcess({
    manifests: join(folder.path, "manifests"),
    state: disk,
    log: (text) => (log += text),
  });
  const violations: string[] = [];
  try {
    await greeted(port);
    if (!(await sendOrdinary(port, "disk-0"))) violations.push("mail was not taken before");
    spawnSync("dd", ["if=/dev/zero", `of=${ballast}`, "bs=1M"], { stdio: "ignore" });
    const took: string[] = [];
    for (let n = 1; n <= 10; n += 1) if (await sendOrdinary(port, `disk-${n}`)) took.push(`disk-${n}`);
    rmSync(ballast);
    if (!(await within(10_000, () => took.every((tag) => arrived.has(tag)))))
      violations.push("what was taken on the full disk did not arrive");
    if (!(await sendOrdinary(port, "disk-11")) || !(await within(10_000, () => arrived.has("disk-11"))))
      violations.push("mail does not flow when there is room again");
    if (log.includes(BODY_MARKER)) violations.push("a body stands in the log");
    return { figures: { takenWhileFull: took.length }, violations };
  } finally {
    await transport.kill("SIGTERM");
    unmount();
    folder.remove();
  }
};

/** SIGTERM while 20 clients send and one transaction is open. What got 250 arrived or is in the queue. */
export async function stopUnderLoad(ground: Ground, check: (holds: boolean, violation: string) => void) {
  const { port, transport, state, arrived } = ground;
  const taken: string[] = [];
  let stopping = false;
  const open = await openSession(port, ...ENVELOPE, "DATA");
  const senders = Array.from({ length: 20 }, async (_, sender) => {
    for (let n = 0; !stopping; n += 1)
      if (await sendOrdinary(port, `stop-${sender}-${n}`).catch(() => false))
        taken.push(`stop-${sender}-${n}`);
  });
  await pause(1500);
  const began = performance.now();
  const ended = transport.kill("SIGTERM");
  stopping = true;
  await pause(200);
  open.socket.write("X-Tag: open\r\n\r\nthe last\r\n.\r\n");
  check(/\r\n250 2\.6\.0/.test(await open.replies(6, 4000)), "stop: the open transaction could not end");
  await ended;
  const ms = Math.round(performance.now() - began);
  await Promise.all(senders);
  check(ground.exitCode() === 0, `stop: exit code ${ground.exitCode()}`);
  check(ms < 9000, `stop: took ${ms} ms with a grace of 5 s`);
  const admin = openAdmin(join(state, "queue"), { clock: systemClock, log: quiet });
  const queued = admin.list({ limit: 1_000_000, offset: 0 });
  admin.close();
  const held = queued.filter(({ queue }) => queue === "Submission" || queue === "Delivery").length;
  const missing = taken.filter((tag) => !arrived.has(tag)).length;
  check(missing <= held, `stop: ${missing} of ${taken.length} neither arrived nor in the queue`);
  const poison = queued.filter(({ queue }) => queue === "Poison").length;
  check(poison === 0, `stop: ${poison} messages in Poison`);
  return { taken: taken.length, notYetArrived: missing, queued: queued.length, ms };
}
