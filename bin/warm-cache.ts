/**
 * Makes the compile cache that an image brings (docs/decisions/0100): each kind of process runs once as it would in a
 * pod, far enough to have compiled what it needs, and writes the cache as it ends. Node reads a cache that is there but
 * does not complete it, so the process that does most comes first.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const LAUNCHER = join(import.meta.dirname, "postroom.js");
const PATIENCE_MS = 120_000;
const MANIFESTS = `
apiVersion: postroom.dev/v1alpha1
kind: MailTransport
metadata: {name: warm}
spec: {hostname: warm.example}
---
apiVersion: postroom.dev/v1alpha1
kind: ReceiveConnector
metadata: {name: in}
spec: {bindings: [{address: 127.0.0.1, port: 0}], permissionGroups: [AnonymousUsers]}
---
apiVersion: postroom.dev/v1alpha1
kind: AcceptedDomain
metadata: {name: warm}
spec: {domains: [warm.example]}
---
apiVersion: postroom.dev/v1alpha1
kind: SendConnector
metadata: {name: out}
spec: {addressSpaces: [{domain: "*"}], routing: {type: Drop, directory: mail}}
---
apiVersion: postroom.dev/v1alpha1
kind: TransportRule
metadata: {name: subject}
spec: {conditions: {subjectMatchesPatterns: ["w[ao]rm"]}, actions: {setHeader: {name: X-Warm, value: "yes"}}}
`;
const DIALOGUE = [
  "EHLO warm.example",
  "MAIL FROM:<a@warm.example>",
  "RCPT TO:<b@warm.example>",
  "DATA",
  "From: a@warm.example\r\nTo: b@warm.example\r\nSubject: warm\r\n\r\nwarm\r\n.",
  "QUIT",
];

const folder = mkdtempSync(join(tmpdir(), "postroom-warm-"));
const manifests = join(folder, "manifests");
const token = join(folder, "token");
mkdirSync(manifests);
writeFileSync(join(manifests, "warm.yaml"), MANIFESTS);
// As in a pod, beside each other.
writeFileSync(token, "none");
writeFileSync(join(folder, "namespace"), "warm");
try {
  await untilLine(["run", "--manifests", manifests, "--state", join(folder, "state")], async (line) => {
    if (line.msg !== "listening") return false;
    await sendMail(Number(line.port));
    return true;
  });
  // Nobody answers there: all is loaded, nothing begins.
  const nowhere = ["--api-server", "https://127.0.0.1:9", "--token-file", token];
  await untilLine(["operator", ...nowhere, "--http", "127.0.0.1:0"], isFault);
  const pod = ["--name", "warm", "--pod", "warm-0", "--state", join(folder, "pod")];
  await untilLine(["transport", ...nowhere, ...pod, "--http", "127.0.0.1:0"], isFault);
} finally {
  rmSync(folder, { recursive: true });
}

interface Line {
  readonly msg?: string;
  readonly port?: number;
  readonly level?: number | string;
}

/** Starts `postroom ...`, ends it when `isEnough` says so of a line of its log. */
async function untilLine(args: readonly string[], isEnough: (line: Line) => Promise<boolean> | boolean) {
  const child = spawn(process.execPath, [LAUNCHER, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  const timer = setTimeout(() => child.kill("SIGKILL"), PATIENCE_MS);
  let isDone = false;
  for await (const text of createInterface({ input: child.stdout })) {
    if (!isDone && (await isEnough(JSON.parse(text) as Line))) {
      isDone = true;
      child.kill("SIGTERM");
    }
  }
  await ended(child);
  clearTimeout(timer);
  if (!isDone) throw new Error(`postroom ${args[0]} ended before it was warm`);
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
}

/** The API server that is not there is logged as such. */
function isFault({ level }: Line): boolean {
  return level === "warn" || level === "error" || Number(level) >= 40;
}

/** One line a reply; the last line of a reply has a space after its code. */
async function sendMail(port: number): Promise<void> {
  const socket = connect(port, "127.0.0.1");
  const lines = [...DIALOGUE];
  for await (const reply of createInterface({ input: socket })) {
    if (reply[3] === "-") continue;
    if (reply[0] !== "2" && reply[0] !== "3") throw new Error(`No mail could be sent: ${reply}`);
    const next = lines.shift();
    if (next === undefined) break;
    socket.write(`${next}\r\n`);
  }
  socket.destroy();
}
