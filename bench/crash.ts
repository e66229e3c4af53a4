/**
 * Crash: is anything lost when the process is killed with -9 in the middle of its work?
 *
 * smtp-source (Postfix) sends through a proxy that notes every 250 with its internal id; the transport is killed five
 * times and started again; a sink counts what arrives. Every noted id must have arrived, or be in the queue.
 * Usage: npm run test:crash [-- messages [workers]]. Exit 1 when one is lost or set aside.
 *
 * @module
 */
import { spawn, spawnSync } from "node:child_process";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { openQueues } from "../cli/queues.ts";
import { systemClock } from "../lib/clock.ts";
import { freePort } from "../test/helpers/free-port.ts";
import { startCountingSink } from "./counting-sink.ts";
import { greeted, relayManifest, startTransportProcess, temporaryFolder } from "./processes.ts";

const MESSAGES = Number(process.argv[2] ?? 10_000);
const WORKERS = process.argv[3] ?? "1";
const KILLS = 5;

if (spawnSync("smtp-source", ["-h"]).error !== undefined) {
  console.log("SKIPPED: crash test: smtp-source is missing (Debian package postfix)");
  process.exit(0);
}

const folder = temporaryFolder();
const sink = await startCountingSink();
const port = await freePort();
const state = join(folder.path, "state");
folder.write("manifests/all.yaml", relayManifest({ port, nextHopPort: sink.port }));
const start = async () => {
  const started = startTransportProcess({
    manifests: join(folder.path, "manifests"),
    state,
    args: ["--workers", WORKERS],
    log: (line) => process.stdout.write(line),
  });
  await greeted(port);
  return started;
};

const acknowledged = new Set<string>();
const proxy = await startProxy(port, (id) => acknowledged.add(id));
let transport = await start();
const began = performance.now();
let sources = 0;
let kills = 0;
let restartMs = 0;

const load = (async () => {
  while (acknowledged.size < MESSAGES) {
    sources += 1;
    const rest = Math.max(1, Math.min(1000, MESSAGES - acknowledged.size));
    await new Promise<void>((resolve) => {
      const args = [
        "-d",
        "-s",
        "20",
        "-m",
        String(rest),
        "-l",
        "2048",
        "-f",
        "load@source.example",
        "-t",
        "ann@contoso.example",
      ];
      const source = spawn("smtp-source", [...args, `inet:127.0.0.1:${proxy.port}`], { stdio: "ignore" });
      source.once("exit", () => resolve());
    });
  }
})();

for (let n = 1; n <= KILLS; n += 1) {
  const at = Math.floor((MESSAGES * n) / (KILLS + 1));
  while (acknowledged.size < at) await new Promise((resolve) => setTimeout(resolve, 1));
  await transport.kill("SIGKILL");
  kills += 1;
  const down = performance.now();
  transport = await start();
  restartMs += performance.now() - down;
}
await load;

const missing = () => [...acknowledged].filter((id) => !sink.seen.has(id));
const end = performance.now() + 120_000;
while (missing().length > 0 && performance.now() < end)
  await new Promise((resolve) => setTimeout(resolve, 50));
await transport.kill("SIGTERM");

const admin = openQueues(state, {
  clock: systemClock,
  log: { info() {}, warn() {}, error() {} },
});
const left = admin.list({ limit: 1_000_000, offset: 0 });
const queued = new Set(left.map(({ id }) => id));
// No message here is at fault when the process ends.
const poison = left.filter(({ queue }) => queue === "Poison").length;
admin.close();
const lost = missing().filter((id) => !queued.has(id));
const duplicates = [...sink.seen.values()].filter((times) => times > 1).length;
const unacknowledged = [...sink.seen.keys()].filter((id) => !acknowledged.has(id)).length;
console.log(
  JSON.stringify({
    acknowledged: acknowledged.size,
    arrived: sink.total(),
    stillQueued: queued.size,
    poison,
    lost: lost.length,
    duplicates,
    arrivedWithoutAcknowledgement: unacknowledged,
    kills,
    workers: Number(WORKERS),
    smtpSourceRuns: sources,
    meanRestartMs: Math.round(restartMs / kills),
    seconds: Math.round((performance.now() - began) / 100) / 10,
  }),
);
await proxy.close();
await sink.close();
folder.remove();
process.exit(lost.length + poison === 0 ? 0 : 1);

/** Passes octets on and notes the internal id of every 250 that the client gets. */
async function startProxy(target: number, onAcknowledged: (id: string) => void) {
  const open = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect({ port: target, host: "127.0.0.1" });
    for (const socket of [client, upstream]) {
      open.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        open.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    let text = "";
    client.pipe(upstream);
    upstream.on("data", (chunk: Buffer) => {
      client.write(chunk);
      text += chunk.toString("latin1");
      for (const line of text.split("\r\n").slice(0, -1)) {
        const id = /^250 .*\[InternalId=([0-9A-Z]+)\]/.exec(line)?.[1];
        if (id !== undefined) onAcknowledged(id);
      }
      text = text.slice(text.lastIndexOf("\n") + 1);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
