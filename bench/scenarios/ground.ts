/** What scenarios stand on: relays and next hops that are started for them and ended with them, whatever happens. */
import { spawnSync } from "node:child_process";
import { mkdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "../../test/helpers/free-port.ts";
import { postfixIsThere, startPostfix, TUNED } from "../../test/helpers/postfix.ts";
import { guarded, guardFolder } from "../../test/helpers/process-guard.ts";
import { greeted, startTransportProcess, temporaryFolder } from "../processes.ts";
import { processesOf, type Sink as SmtpSink, startSink as startSmtpSink } from "../speed/mod.ts";
import { type IdleConnections, startIdle } from "./idle.ts";
import { type Sink, type SinkOptions, startSink } from "./sink.ts";

export interface Ground {
  /** Small counts, to see that it runs; its rates mean nothing. */
  readonly isQuick: boolean;
  /** Runs of each row of a comparison of rates. */
  readonly runs: number;
  readonly postroom: (options: PostroomOptions) => Promise<Postroom>;
  /** Undefined, with a line that says so: not here. */
  readonly postfix: (options: PostfixOptions) => Promise<PostfixRelay | undefined>;
  readonly sink: (options?: Partial<SinkOptions>) => Promise<Sink>;
  /** An smtp-sink, which is quicker and only counts. */
  readonly smtpSink: () => Promise<SmtpSink>;
  readonly idle: (port: number) => Promise<IdleConnections>;
  readonly say: (line: string) => void;
}

export interface Relay {
  readonly name: string;
  readonly port: number;
  /** The process that the others descend from. */
  readonly pid: number;
  /** All its processes as of now. */
  pids(): readonly number[];
  stop(): Promise<void>;
}

export interface PostroomOptions {
  readonly name?: string;
  /** Manifests for the port that it shall listen on; further files by name. */
  readonly manifests: (port: number) => string | Readonly<Record<string, string>>;
  readonly args?: readonly string[];
  /** Cores, as taskset takes them. */
  readonly cores?: string;
  /** A command before node: strace with its options. */
  readonly under?: readonly string[];
}

export interface Postroom extends Relay {
  readonly manifestsFolder: string;
  readonly state: string;
  /** From the command to the first banner. */
  readonly startMs: number;
}

export interface PostfixOptions {
  readonly nextHopPort: number;
  /** Beside those it is tuned by. */
  readonly settings?: readonly string[];
}

export interface PostfixRelay extends Relay {
  /** For `postfix -c` and `postqueue -c`. */
  readonly etc: string;
}

/** `end` stops what still runs, the latest first. */
export function createGround(options: Pick<Ground, "isQuick" | "runs" | "say">): Ground & {
  end(): Promise<void>;
} {
  const stack: (() => Promise<void>)[] = [];
  /** What is stopped early is not stopped again. */
  const keep = <Started extends { stop(): Promise<void> }>(started: Started): Started => {
    let stopped: Promise<void> | undefined;
    const stop = () => {
      stopped ??= started.stop();
      return stopped;
    };
    stack.push(stop);
    return { ...started, stop };
  };
  return {
    ...options,
    postroom: async (wanted) => keep(await startPostroom(wanted)),
    async postfix(wanted) {
      if (postfixIsThere()) return keep(await startTunedPostfix(wanted));
      options.say("SKIPPED: the Postfix peer: needs root and the Debian package postfix");
      return undefined;
    },
    sink: async (wanted) => keep(await startSink({ port: await freePort(), ...wanted })),
    smtpSink: async () => keep(await startSmtpSink()),
    idle: async (port) => keep(await startIdle({ port })),
    async end() {
      for (const stop of stack.splice(0).reverse()) await stop();
    },
  };
}

async function startPostroom(options: PostroomOptions): Promise<Postroom> {
  const port = await freePort();
  const folder = temporaryFolder();
  guardFolder(folder.path);
  const state = join(folder.path, "state");
  mkdirSync(state);
  const manifests = options.manifests(port);
  const files = typeof manifests === "string" ? { "all.yaml": manifests } : manifests;
  for (const [name, text] of Object.entries(files)) folder.write(`manifests/${name}`, text);
  const manifestsFolder = join(folder.path, "manifests");
  const began = performance.now();
  const transport = startTransportProcess({
    manifests: manifestsFolder,
    state,
    ...(options.args === undefined ? {} : { args: options.args }),
    ...(options.under === undefined ? {} : { under: options.under }),
    log: (line) => process.stdout.write(line),
  });
  guarded(transport.child);
  const pid = transport.child.pid ?? 0;
  if (options.cores !== undefined) spawnSync("taskset", ["-a", "-p", "-c", options.cores, String(pid)]);
  const stop = async () => {
    await transport.kill("SIGTERM");
    folder.remove();
  };
  await greeted(port).catch(async (cause: unknown) => {
    await stop();
    throw cause;
  });
  const startMs = performance.now() - began;
  const { name = "Postroom" } = options;
  return { name, port, pid, pids: () => processesOf(pid), manifestsFolder, state, startMs, stop };
}

async function startTunedPostfix({ nextHopPort, settings = [] }: PostfixOptions): Promise<PostfixRelay> {
  const { port, pid, stop } = await startPostfix({ nextHopPort, settings: [...TUNED, ...settings] });
  const master = pid();
  return {
    name: "Postfix, tuned",
    port,
    pid: master,
    // It works in its queue folder; its configuration lies beside that.
    etc: join(readlinkSync(`/proc/${master}/cwd`), "../etc"),
    pids: () => processesOf(master),
    stop,
  };
}
