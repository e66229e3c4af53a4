/** Postroom as a peer: `postroom run` as a process of its own, from manifests in a temporary folder. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "../../test/helpers/free-port.ts";
import { guarded, guardFolder } from "../../test/helpers/process-guard.ts";
import { pipelineManifests } from "../pipeline-manifests.ts";
import { greeted, ROOT, relayManifest, startTransportProcess, temporaryFolder } from "../processes.ts";
import { cpuGroup } from "./cpu-group.ts";
import type { Peer, RunningPeer } from "./peer.ts";
import { processesOf } from "./processes-of.ts";
import { withTls } from "./tls-manifests.ts";

export interface PostroomOptions {
  readonly name: string;
  /** The manifests; default: everything goes to the next hop, no agents, no rules. */
  manifests?(ports: ManifestPorts): string;
  /** Further arguments of `postroom run`. */
  readonly args?: readonly string[];
}

export interface ManifestPorts {
  readonly port: number;
  readonly nextHopPort: number;
}

/** As many connections to the next hop as the other peers have. */
const TRANSPORT = "limits: {maxPerDomainOutboundConnections: 50}";

/** 5 agents, 200 accepted domains, so many rules of which 10 match. */
export function wholePipeline(rules: number): (ports: ManifestPorts) => string {
  return (ports) => pipelineManifests({ ...ports, rules, transport: TRANSPORT });
}

export function plainRelay(ports: ManifestPorts): string {
  return relayManifest({ ...ports, transport: TRANSPORT });
}

export function postroom({ name, manifests = plainRelay, args = [] }: PostroomOptions): Peer {
  return {
    name,
    durability:
      "fsync of the queue's log (SQLite WAL, synchronous=FULL), and of bodies from 32 KiB on; several messages together",
    compiles: true,
    isThere: async () => undefined,
    version: async () => {
      const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
      return `Postroom ${version}`;
    },
    async start(options) {
      const port = await freePort();
      const text = manifests({ port, nextHopPort: options.nextHopPort });
      return startPostroom(port, withTls(text, options), args);
    },
  };
}

async function startPostroom(port: number, manifests: string, args: readonly string[]): Promise<RunningPeer> {
  const folder = temporaryFolder();
  guardFolder(folder.path);
  folder.write("manifests/all.yaml", manifests);
  let said = "";
  const { child, kill } = startTransportProcess({
    manifests: join(folder.path, "manifests"),
    state: join(folder.path, "state"),
    args,
    log: (line) => {
      said = `${said}${line}`.slice(-2_000);
    },
  });
  guarded(child);
  const group = cpuGroup();
  if (child.pid !== undefined) group.add([child.pid]);
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) await kill("SIGKILL");
    group.remove();
    folder.remove();
  };
  await greeted(port).catch(async (cause: unknown) => {
    await stop();
    throw new Error(`Postroom does not greet: ${said}`, { cause });
  });
  return { port, pids: () => processesOf(child.pid ?? 0), cpuSeconds: group.seconds, stop };
}
