/** Hostile ground: one transport process under attack, its sink, what its log may never hold, and what counts as a violation. */
import { readdirSync, readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { freePort } from "../test/helpers/free-port.ts";
import { startCountingSink } from "./counting-sink.ts";
import { type HostileHops, startHostileHops } from "./hostile-hops.ts";
import { greeted, residentMegabytes, startTransportProcess, temporaryFolder } from "./processes.ts";

/** In every hostile body and password; never in the log. */
export const BODY_MARKER = "BODYMARKER7f3a";
export const PASSWORD_MARKER = "PASSWORDMARKER7f3a";

/** SIGUSR2 jumps the clock: a day ahead, a day back, home again. SIGHUP collects garbage. */
const PRELOAD = `
const real = Date.now; const jumps = [864e5, -864e5, 0]; let offset = 0;
Date.now = () => real() + offset;
process.on("SIGUSR2", () => { offset = jumps.shift() ?? 0; });
process.on("SIGHUP", () => globalThis.gc());
`;

export type Ground = Awaited<ReturnType<typeof openGround>>;

export async function openGround() {
  const folder = temporaryFolder();
  const [port, httpPort] = [await freePort(), await freePort()];
  /** Tag of a message -> times it came; whatever breaks a line but CRLF counts. */
  const arrived = new Map<string, number>();
  let bareLineEnds = 0;
  const sink = await startCountingSink((content) => {
    const tag = /^X-Tag: (\S+)/m.exec(content)?.[1] ?? "";
    arrived.set(tag, (arrived.get(tag) ?? 0) + 1);
    if (/\r(?!\n)|(?<!\r)\n/.test(content)) bareLineEnds += 1;
  });
  const hops = await startHostileHops();
  const manifests = join(folder.path, "manifests");
  const state = join(folder.path, "state");
  folder.write("manifests/all.yaml", manifest({ port, sinkPort: sink.port, hops }));
  let log = "";
  const transport = startTransportProcess({
    manifests,
    state,
    nodeArgs: ["--expose-gc", "--import", `data:text/javascript,${encodeURIComponent(PRELOAD)}`],
    args: ["--log-level", "debug", "--self-signed", "--grace", "5", "--http", `127.0.0.1:${httpPort}`],
    log: (text) => {
      log += text;
    },
  });
  let exitCode: number | null | undefined;
  transport.child.once("exit", (code) => {
    exitCode = code;
  });
  await greeted(port);
  const { pid } = transport.child;
  return {
    ...{ port, manifests, state, folder, transport, sink, hops, arrived },
    log: () => log,
    bareLineEnds: () => bareLineEnds,
    /** undefined: it runs. */
    exitCode: () => exitCode,
    openFiles: () => readdirSync(`/proc/${pid}/fd`).length,
    /** MB, after a collection and a moment to give memory back. */
    async settledMemory() {
      for (let n = 0; n < 2; n += 1) {
        transport.child.kill("SIGHUP");
        await pause(700);
      }
      return residentMegabytes(pid);
    },
    tracking: () =>
      readdirSync(join(state, "tracking")).map((name) => readFileSync(join(state, "tracking", name), "utf8")),
    async metric(name: string) {
      const text = await (await fetch(`http://127.0.0.1:${httpPort}/metrics`)).text();
      return text.split("\n").filter((line) => line.startsWith(name));
    },
    async close() {
      await hops.close();
      await sink.close();
      folder.remove();
    },
  };
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** False when it did not come to hold in time. */
export async function within(ms: number, holds: () => boolean): Promise<boolean> {
  for (const end = performance.now() + ms; performance.now() < end; await pause(10)) if (holds()) return true;
  return holds();
}

export interface Raw {
  readonly socket: Socket;
  /** Everything that came so far. */
  text(): string;
  /** Resolves when so many replies came, the server closed, or time is over; all that came. */
  replies(count: number, ms?: number): Promise<string>;
  isClosed(): boolean;
}

/** A socket that reads, and says nothing by itself. */
export function openRaw(port: number): Raw {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true, allowHalfOpen: true });
  let text = "";
  let isClosed = false;
  const over = () => {
    isClosed = true;
  };
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString("latin1");
  });
  socket.on("end", over).on("close", over).on("error", over);
  const count = () => text.match(/^\d{3} /gm)?.length ?? 0;
  return {
    socket,
    text: () => text,
    isClosed: () => isClosed,
    async replies(wanted, ms = 20_000) {
      await within(ms, () => isClosed || count() >= wanted);
      return text;
    },
  };
}

/** Greeted, EHLO said, and the lines after it, each with its reply. */
export async function openSession(port: number, ...lines: string[]): Promise<Raw> {
  const raw = openRaw(port);
  await raw.replies(1);
  for (const [index, line] of ["EHLO evil.example", ...lines].entries()) {
    raw.socket.write(`${line}\r\n`, "latin1");
    await raw.replies(index + 2);
  }
  return raw;
}

export const ENVELOPE = ["MAIL FROM:<eve@evil.example>", "RCPT TO:<ann@contoso.example>"];

/** One ordinary message; true when its 250 came. */
export async function sendOrdinary(
  port: number,
  tag: string,
  recipient = "ann@contoso.example",
): Promise<boolean> {
  const raw = await openSession(port, "MAIL FROM:<eve@evil.example>", `RCPT TO:<${recipient}>`, "DATA");
  raw.socket.write(`X-Tag: ${tag}\r\nSubject: hello\r\n\r\n${BODY_MARKER}\r\n.\r\n`);
  const text = await raw.replies(6);
  raw.socket.destroy();
  return /\r\n250 2\.6\.0 [^\n]*\n$/.test(text);
}

function manifest({ port, sinkPort, hops }: { port: number; sinkPort: number; hops: HostileHops }): string {
  const object = (kind: string, name: string, spec: object) =>
    JSON.stringify({ apiVersion: "postroom.dev/v1alpha1", kind, metadata: { name }, spec });
  const hop = (name: string, domain: string, target: number) =>
    object("SendConnector", name, {
      addressSpaces: [{ domain }],
      routing: { type: "SmartHost", smartHosts: [{ host: "127.0.0.1", port: target }] },
      tls: { mode: "None" },
    });
  const entries = [
    { type: "FileName", pattern: "*.exe" },
    { type: "ContentType", pattern: "application/x-msdownload" },
  ];
  const agents = [
    ...[{ connectionFilter: {} }, { senderFilter: { blockedSenders: ["x@spam.example"] } }],
    ...[{ recipientFilter: {} }, { headerFirewall: {} }, { attachmentFilter: { entries } }],
  ];
  const secret = { apiVersion: "v1", kind: "Secret", metadata: { name: "users" } };
  return [
    object("MailTransport", "hub", {
      hostname: "mx.contoso.example",
      queue: { retryIntervals: ["1s"] },
      agents,
    }),
    object("ReceiveConnector", "in", {
      bindings: [{ address: "127.0.0.1", port }],
      maxInboundConnectionPerSource: 2000,
      tarpitInterval: "0s",
      authMechanisms: ["Tls", "BasicAuth"],
      credentialsRef: { name: "users" },
      tls: { mode: "Opportunistic", certificateRefs: [{ name: "mx-tls" }] },
    }),
    object("AcceptedDomain", "contoso", {
      domains: ["contoso.example", "*.hops.example"],
      type: "InternalRelay",
    }),
    object("TransportRule", "scan", {
      conditions: {
        anyOf: [
          { attachmentExtensionMatchesWords: ["exe"] },
          { attachmentHasExecutableContent: true },
          { subjectOrBodyMatchesPatterns: ["(a+)+$", "forbidden[0-9]{3,}"] },
        ],
      },
      actions: { setHeader: [{ name: "X-Scanned", value: "hit" }] },
    }),
    hop("out", "contoso.example", sinkPort),
    ...hops.list.map(({ name, port: target }) => hop(name, `${name}.hops.example`, target)),
    JSON.stringify({ ...secret, stringData: { users: `ann@contoso.example:${PASSWORD_MARKER}` } }),
  ].join("\n---\n");
}
