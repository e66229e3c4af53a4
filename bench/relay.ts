/**
 * Relay: messages a second through Postroom and through Postfix, on the same machine in the same run.
 *
 * smtp-source -> relay -> smtp-sink, all on loopback; every message on disk before its 250 in both. Runs are interleaved;
 * the rate counts from the first connection until the sink has the last message.
 * Usage: npm run bench [-- runs [messages]]
 *
 * @module
 */
import { spawn, spawnSync } from "node:child_process";
import { join } from "node:path";
import { freePort } from "../test/helpers/free-port.ts";
import { postfixIsThere, startPostfix, TUNED } from "../test/helpers/postfix.ts";
import {
  greeted,
  median,
  relayManifest,
  residentMegabytes,
  startTransportProcess,
  temporaryFolder,
} from "./processes.ts";

const RUNS = Number(process.argv[2] ?? 5);
const MESSAGES = Number(process.argv[3] ?? 5000);
const SESSIONS = 50;

if (spawnSync("smtp-source", ["-h"]).error !== undefined) {
  console.log("SKIPPED: relay benchmark: smtp-source and smtp-sink are missing (Debian package postfix)");
  process.exit(0);
}

interface Case {
  readonly name: string;
  readonly size: number;
  readonly kept: boolean;
}
const CASES: readonly Case[] = [
  { name: "4 KiB, connection kept", size: 4096, kept: true },
  { name: "4 KiB, one message a connection", size: 4096, kept: false },
];

const sinkPort = await freePort();
const peers: { readonly name: string; readonly port: number; stop(): Promise<void> | void }[] = [];
const folder = temporaryFolder();
const port = await freePort();
folder.write(
  "manifests/all.yaml",
  relayManifest({ port, nextHopPort: sinkPort, transport: "limits: {maxPerDomainOutboundConnections: 50}" }),
);
const transport = startTransportProcess({
  manifests: join(folder.path, "manifests"),
  state: join(folder.path, "state"),
});
await greeted(port);
peers.push({ name: "Postroom", port, stop: () => transport.kill("SIGTERM") });
if (postfixIsThere()) {
  const postfix = await startPostfix({ nextHopPort: sinkPort, settings: TUNED });
  peers.push({ name: "Postfix (tuned)", port: postfix.port, stop: postfix.stop });
} else {
  console.log("SKIPPED: the Postfix peer: needs root and the Debian package postfix");
}

try {
  await measure();
} finally {
  for (const peer of peers) await peer.stop();
  folder.remove();
}

async function measure(): Promise<void> {
  const idle = await residentMegabytes(transport.child.pid);
  for (const one of CASES) {
    const rates = new Map<string, number[]>(peers.map(({ name }) => [name, []]));
    for (const peer of peers) await run(peer.port, one, 500);
    for (let n = 0; n < RUNS; n += 1) {
      for (const peer of peers) rates.get(peer.name)?.push(await run(peer.port, one, MESSAGES));
    }
    for (const [name, values] of rates) {
      const range = `${Math.round(Math.min(...values))}-${Math.round(Math.max(...values))}`;
      console.log(
        `${one.name} | ${name} | median ${Math.round(median(values))}/s | range ${range} | ${RUNS} runs of ${MESSAGES}`,
      );
    }
    const [ours, theirs] = [...rates.values()].map(median);
    if (ours !== undefined && theirs !== undefined)
      console.log(`${one.name} | ratio ${(ours / theirs).toFixed(2)}`);
  }
  console.log(`Postroom memory: ${idle} MB before, ${await residentMegabytes(transport.child.pid)} MB after`);
}

/** Messages a second from the first connection to the last message at the sink. */
async function run(target: number, { size, kept }: Case, messages: number): Promise<number> {
  // As root smtp-sink wants to know whom to become.
  const user = process.getuid?.() === 0 ? ["-u", "nobody"] : [];
  const sink = spawn("smtp-sink", [...user, "-M", String(messages), `127.0.0.1:${sinkPort}`, "1000"], {
    stdio: "ignore",
  });
  const done = new Promise<void>((resolve) => sink.once("exit", () => resolve()));
  await greeted(sinkPort);
  const began = performance.now();
  const args = [...(kept ? ["-d"] : []), "-s", String(SESSIONS), "-m", String(messages), "-l", String(size)];
  const source = spawn(
    "smtp-source",
    [...args, "-f", "load@source.example", "-t", "ann@contoso.example", `inet:127.0.0.1:${target}`],
    { stdio: ["ignore", "ignore", "inherit"] },
  );
  const timer = setTimeout(() => sink.kill("SIGKILL"), 120_000);
  await done;
  clearTimeout(timer);
  const seconds = (performance.now() - began) / 1000;
  source.kill();
  return messages / seconds;
}
