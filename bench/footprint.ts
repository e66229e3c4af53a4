/**
 * Footprint: time from start to the first banner, and memory idle, with 1,000 and with 10,000 open connections.
 *
 * The transport is started as `npm start` starts it, twice: the first start fills Node's compile cache, the second is measured
 * beside it. Usage: node bench/footprint.ts
 *
 * @module
 */
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { freePort } from "../test/helpers/free-port.ts";
import {
  greeted,
  relayManifest,
  residentMegabytes,
  startTransportProcess,
  temporaryFolder,
} from "./processes.ts";

const folder = temporaryFolder();
const port = await freePort();
folder.write(
  "manifests/all.yaml",
  relayManifest({ port, nextHopPort: 1, transport: "limits: {maxInboundConnections: 20000}" }),
);
const options = { manifests: join(folder.path, "manifests"), state: join(folder.path, "state") };
try {
  const starts: number[] = [];
  for (let n = 0; n < 4; n += 1) {
    const began = performance.now();
    const started = startTransportProcess(options);
    await greeted(port);
    starts.push(Math.round(performance.now() - began));
    await started.kill("SIGTERM");
  }
  const transport = startTransportProcess(options);
  await greeted(port);
  await settle();
  const idle = await residentMegabytes(transport.child.pid);
  const sockets: Socket[] = [];
  await open(sockets, 1000);
  await settle();
  const thousand = await residentMegabytes(transport.child.pid);
  await open(sockets, 10_000);
  await settle();
  const tenThousand = await residentMegabytes(transport.child.pid);
  const greetedSockets = sockets.filter((socket) => socket.bytesRead > 0).length;
  for (const socket of sockets) socket.destroy();
  await transport.kill("SIGTERM");
  console.log(
    JSON.stringify({
      msToFirstBanner: starts,
      idleMb: idle,
      with1000Mb: thousand,
      with10000Mb: tenThousand,
      greetedSockets,
    }),
  );
} finally {
  folder.remove();
}

function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 3000));
}

/** Opens connections, 200 at a time, until there are `count`; each has said EHLO. */
async function open(sockets: Socket[], count: number): Promise<void> {
  while (sockets.length < count) {
    const batch = Array.from({ length: Math.min(200, count - sockets.length) }, () => openOne());
    sockets.push(...(await Promise.all(batch)));
  }
}

function openOne(): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1" });
    socket.once("error", reject);
    socket.once("data", () => {
      socket.write("EHLO client.example\r\n");
      socket.once("data", () => resolve(socket));
    });
  });
}
