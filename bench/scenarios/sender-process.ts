/** The process behind sender.ts. */
import { randomUUID } from "node:crypto";
import { ringAt } from "./alarm.ts";
import { arrivals } from "./arrivals.ts";
import { type ClientConnection, openConnection, type Sent } from "./client-connection.ts";
import { beHelper } from "./helper-process.ts";
import type { SenderOptions, SenderReport } from "./sender.ts";
import { bodyOf, envelopeOf, headerOf } from "./test-messages.ts";

const FROM = "load@source.example";
/** What is unanswered so long after the last message was due is dropped. */
const PATIENCE_MS = 20_000;

interface Tally {
  /** performance.now() of the last 250. */
  lastAt: number;
  accepted: number;
  refused: number;
  dropped: number;
  readonly replyMs: number[];
  readonly replyAloneMs: number[];
  readonly transactionMs: number[];
  readonly alarmLateMs: number[];
}

beHelper<SenderOptions, "run", SenderReport>(async (options) => {
  const connections = await Promise.all(
    Array.from({ length: options.connections }, () => openConnection({ port: options.port })),
  );
  return () => run(options, connections);
});

async function run(options: SenderOptions, connections: ClientConnection[]): Promise<SenderReport> {
  const began = performance.now();
  const tally: Tally = {
    lastAt: began,
    accepted: 0,
    refused: 0,
    dropped: 0,
    replyMs: [],
    replyAloneMs: [],
    transactionMs: [],
    alarmLateMs: [],
  };
  const lines = connections.map((connection) => lineOf(options, connection, tally));
  const { perSecond } = options;
  if (perSecond === undefined) await unpaced(options, lines, tally);
  else await paced({ ...options, perSecond }, lines, tally);
  for (const line of lines) line.close();
  return { ...tally, seconds: (tally.lastAt - began) / 1000 };
}

/** A place to send from: a connection that is opened again when it is over. `due`: performance.now() of the message. */
interface Line {
  send(due: number): Promise<void>;
  close(): void;
}

function lineOf(options: SenderOptions, first: ClientConnection, tally: Tally): Line {
  const { port, to, size, messagesPerConnection = Number.POSITIVE_INFINITY } = options;
  const body = bodyOf(size);
  const envelope = envelopeOf({ from: FROM, to });
  let connection: ClientConnection | undefined = first;
  let sent = 0;
  const opened = async () => {
    if (connection?.isOpen && sent < messagesPerConnection) return connection;
    connection?.close();
    sent = 0;
    connection = await openConnection({ port }).catch(() => undefined);
    return connection;
  };
  return {
    async send(due) {
      const open = await opened();
      if (open === undefined) {
        tally.refused += 1;
        return pause(20);
      }
      sent += 1;
      const id = `${randomUUID()}@source.example`;
      const header = headerOf({ id, sentAt: performance.timeOrigin + due, from: FROM, to });
      count(tally, await open.send(envelope, [Buffer.from(header), body]), due);
    },
    close: () => connection?.close(),
  };
}

function count(tally: Tally, { code, begun, contentWritten, answered }: Sent, due: number): void {
  if (code === 0) tally.dropped += 1;
  else if (code !== 250) tally.refused += 1;
  else {
    tally.accepted += 1;
    tally.lastAt = answered;
    tally.replyAloneMs.push(answered - contentWritten);
    tally.replyMs.push(answered - contentWritten + begun - due);
    tally.transactionMs.push(answered - due);
  }
}

async function unpaced(options: SenderOptions, lines: readonly Line[], tally: Tally): Promise<void> {
  const began = performance.now();
  let left = options.messages ?? Number.POSITIVE_INFINITY;
  let underWay = 0;
  const all = lines.map(async (line) => {
    while (left > 0 && performance.now() - began < options.seconds * 1000) {
      left -= 1;
      underWay += 1;
      await line.send(performance.now());
      underWay -= 1;
    }
  });
  await Promise.race([Promise.all(all), pause(options.seconds * 1000 + PATIENCE_MS)]);
  tally.dropped += underWay;
}

async function paced(
  options: SenderOptions & { readonly perSecond: number },
  lines: readonly Line[],
  tally: Tally,
): Promise<void> {
  const times = arrivals({ ...options, seed: options.seed ?? 1 });
  const free = [...lines];
  const waiting: number[] = [];
  let underWay = 0;
  const next = () => {
    while (free.length > 0 && waiting.length > 0) {
      const line = free.pop();
      const due = waiting.shift();
      if (line === undefined || due === undefined) return;
      underWay += 1;
      void line.send(due).then(() => {
        underWay -= 1;
        free.push(line);
        next();
      });
    }
  };
  await ringAt(times, (due) => {
    tally.alarmLateMs.push(performance.now() - due);
    waiting.push(due);
    next();
  });
  const end = performance.now() + PATIENCE_MS;
  while (underWay + waiting.length > 0 && performance.now() < end) await pause(2);
  tally.dropped += underWay + waiting.length;
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
