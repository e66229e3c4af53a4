/**
 * Throws random and mutated streams at SMTP sessions, and looks whether any falls over.
 *
 *   node --expose-gc bench/fuzz-smtp.ts [streams] [seed] [state]        100000 streams unless told otherwise
 *
 * Streams begin at the state: connected, ehlo, mail, rcpt, data, chunk (in the middle of one), chunks (between two),
 * auth, tls (where a ClientHello is due), or "any": connected, most streams being mutations of whole sessions. One stream in ten goes over a real socket on 127.0.0.1, the others over in-process pairs. Exit code 1: a crash, a fault,
 * a malformed reply, or a session that did not end.
 */
import { connect } from "node:net";
import type { Duplex } from "node:stream";
import { makeCertificate } from "../lib/certificate.ts";
import { type RigOptions, startRig } from "../test/helpers/session-rig.ts";

const STREAMS = Number(process.argv[2] ?? 100_000);
const SEED = Number(process.argv[3] ?? 1);
const STATE = process.argv[4] ?? "any";
const CONCURRENCY = 100;

const ENVELOPE = ["EHLO me\r\n", "MAIL FROM:<a@b.example>\r\n", "RCPT TO:<c@d.example>\r\n"];
/** What is said, each step after the reply to the one before it, until the state is there. */
const PREFIXES: Readonly<Record<string, readonly string[]>> = {
  any: [],
  connected: [],
  ehlo: ENVELOPE.slice(0, 1),
  mail: ENVELOPE.slice(0, 2),
  rcpt: ENVELOPE,
  data: [...ENVELOPE, "DATA\r\n"],
  chunk: ENVELOPE,
  chunks: [...ENVELOPE, "BDAT 3\r\nabc"],
  auth: ["EHLO me\r\n", "AUTH LOGIN\r\n"],
  tls: ["EHLO me\r\n", "STARTTLS\r\n"],
};
const PREFIX = PREFIXES[STATE];
if (PREFIX === undefined) throw new Error(`Unknown state "${STATE}": ${Object.keys(PREFIXES).join(", ")}`);
const STEPS: readonly string[] = PREFIX;

const VALID = [
  "EHLO me\r\nMAIL FROM:<a@b.example> SIZE=20 BODY=8BITMIME\r\nRCPT TO:<c@d.example> NOTIFY=NEVER\r\nDATA\r\nSubject: x\r\n\r\n..dot\r\nend\r\n.\r\nQUIT\r\n",
  'EHLO me\r\nMAIL FROM:<> SMTPUTF8 RET=HDRS ENVID=q+2B1\r\nRCPT TO:<"john doe"@d.example> ORCPT=rfc822;j@d\r\nBDAT 5\r\nabc\r\nBDAT 2 LAST\r\n\r\nQUIT\r\n',
  "HELO me\r\nMAIL FROM:<@x,@y:a@b>\r\nRCPT TO:<postmaster>\r\nRSET\r\nNOOP\r\nVRFY x\r\nHELP\r\nQUIT\r\n",
  "EHLO me\r\nAUTH LOGIN\r\nYW5u\r\nc2VjcmV0\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n",
  "EHLO me\r\nAUTH PLAIN AGFubgBzZWNyZXQ=\r\nMAIL FROM:<a@b> BODY=BINARYMIME\r\nRCPT TO:<c@d>\r\nBDAT 9 LAST\r\n\0\r\n\n.\r\n..QUIT\r\n",
  "EHLO me\r\nSTARTTLS\r\nEHLO me\r\n",
];
const GRAINS = [
  "\r\n",
  "\r",
  "\n",
  "\0",
  ".",
  "\r\n.\r\n",
  "\n.\n",
  "BDAT 4294967296\r\n",
  "BDAT 3 LAST\r\n",
  "DATA\r\n",
  "RSET\r\n",
  "<",
  ">",
  '"',
  "\\",
  "=",
  "+",
  "*",
  "\xff",
  "AUTH ",
  "x".repeat(3000),
  "é",
];

const random = mulberry32(SEED);
const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;

function makeStream(): Buffer {
  if (random() < 0.2) return Buffer.from(Array.from({ length: random() * 400 }, () => random() * 256));
  let text = STATE === "any" ? pick(VALID) : tail();
  for (let count = 1 + Math.floor(random() * 8); count > 0; count--) text = mutate(text);
  return Buffer.from(text, "latin1");
}

/** The rest of some whole session, from about where the state is. */
function tail(): string {
  const whole = pick(VALID);
  return whole.slice(Math.floor(random() * whole.length));
}

function mutate(text: string): string {
  const at = Math.floor(random() * (text.length + 1));
  const to = at + Math.floor(random() * 12);
  const kind = random();
  if (kind < 0.35) return text.slice(0, at) + pick(GRAINS) + text.slice(at);
  if (kind < 0.6) return text.slice(0, at) + text.slice(to);
  if (kind < 0.75) return text.slice(0, at) + String.fromCharCode(random() * 256) + text.slice(at + 1);
  if (kind < 0.9) return text + pick(VALID);
  return text.slice(0, to) + text.slice(at);
}

const options: RigOptions = { connector: { authMechanisms: ["BasicAuth", "Tls"], maxMessageSize: 2000 } };
const certificate = STATE === "tls" ? await makeCertificate({ names: ["mx.example"], days: 1 }) : undefined;
const rig = await startRig({ ...options, ...(certificate && { certificate }) });
const counts = {
  streams: 0,
  octets: 0,
  replies: 0,
  messages: 0,
  malformed: 0,
  hung: 0,
  crashes: 0,
  closed: 0,
};
const faults: string[] = [];
process.on("uncaughtException", (error) => {
  counts.crashes++;
  console.error(error);
});

/** Sends one stream in pieces; resolves when the session is over. */
function run(stream: Buffer, isReal: boolean): Promise<string> {
  const end: Duplex = isReal ? connect(rig.port, "127.0.0.1") : rig.pair();
  return new Promise((resolve) => {
    let answers = "";
    let isSent = false;
    let step = 0;
    const timer = setTimeout(() => {
      counts.hung++;
      end.destroy();
    }, 20_000);
    const done = () => {
      clearTimeout(timer);
      end.destroy();
      resolve(answers);
    };
    end.on("data", (chunk: Buffer) => {
      answers += chunk.toString("latin1");
      if (isSent || !endsWithReply(answers)) return;
      const line = STEPS[step];
      step += 1;
      // The greeting is here, or the reply to the step before.
      if (line !== undefined) {
        end.write(line);
        return;
      }
      isSent = true;
      if (STATE === "chunk") end.write("BDAT 200\r\nhalf of it");
      writePieces(end, stream);
      end.end();
    });
    end.on("end", done).on("error", done).on("close", done);
  });
}

function endsWithReply(answers: string): boolean {
  const lastLine = answers.slice(answers.lastIndexOf("\n", answers.length - 2) + 1);
  return /^\d{3} [^\n]*\n$/.test(lastLine);
}

/** The stream in pieces of any size. */
function writePieces(end: Duplex, stream: Buffer): void {
  for (let from = 0; from < stream.length; ) {
    const to = random() < 0.5 ? stream.length : from + 1 + Math.floor(random() * 40);
    end.write(Buffer.from(stream.subarray(from, to)));
    from = to;
  }
}

async function worker(): Promise<void> {
  while (counts.streams < STREAMS) {
    const stream = makeStream();
    counts.streams++;
    counts.octets += stream.length;
    // TLS needs a socket; what follows its 220 is no SMTP.
    const said = await run(stream, STATE === "tls" || counts.streams % 10 === 0);
    const answers = STATE === "tls" ? said.replace(/(Ready to start TLS\r\n)[\s\S]*/, "$1") : said;
    counts.replies += answers.match(/^\d{3} /gm)?.length ?? 0;
    if (/^(?:\d{3}[ -][\x20-\x7e]*\r\n)*$/.test(answers)) continue;
    counts.malformed++;
    console.error("malformed:", JSON.stringify(answers), "after", JSON.stringify(stream.toString("latin1")));
  }
}

/** What the rig keeps for tests must not count as a leak here. */
function collect(): void {
  const events = rig.events.splice(0);
  counts.messages += rig.messages.splice(0).length;
  counts.closed += events.filter((event) => event === "closed").length;
  for (const fault of events.filter((event) => event.startsWith("fault"))) faults.push(fault);
  rig.controls.length = 0;
  globalThis.gc?.();
}

/** In MiB, garbage collected where --expose-gc lets us. */
function memory(): { readonly rss: number; readonly heap: number } {
  globalThis.gc?.();
  const { rss, heapUsed } = process.memoryUsage();
  return { rss: Math.round(rss / 2 ** 20), heap: Math.round(heapUsed / 2 ** 20) };
}

const before = memory();
const start = performance.now();
const counting = setInterval(collect, 1000);
await Promise.all(Array.from({ length: CONCURRENCY }, worker));
await new Promise((resolve) => setTimeout(resolve, 500));
collect();
clearInterval(counting);
const seconds = (performance.now() - start) / 1000;
const open = STREAMS - counts.closed;
console.log(
  JSON.stringify({
    ...counts,
    open,
    faults: faults.length,
    seconds: Math.round(seconds),
    before,
    after: memory(),
  }),
);
for (const fault of new Set(faults)) console.error(fault);
await rig.stop();
if (counts.malformed + counts.hung + counts.crashes + faults.length + Math.max(open, 0) > 0)
  process.exitCode = 1;

/** Small seeded generator, so that a failing run can be run again. */
function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
