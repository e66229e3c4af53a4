/** The process behind sink.ts. */
import { createServer, type Socket } from "node:net";
import { beHelper } from "./helper-process.ts";
import type { SinkOptions, SinkQuestion, SinkReport } from "./sink.ts";
import { SENT_AT } from "./test-messages.ts";

const END_OF_DATA = Buffer.from("\r\n.\r\n");
const END_OF_LINE = Buffer.from("\r\n");
const END_OF_HEADER = Buffer.from("\r\n\r\n");

beHelper<SinkOptions, SinkQuestion, SinkReport>(async (options) => {
  const counted = createCounts(options.header);
  const server = createServer({ noDelay: true }, (socket) => serve(socket, options.delayMs ?? 0, counted));
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port, "127.0.0.1", 4096, resolve);
  });
  return async ({ clear, until, timeoutMs = 0 }) => {
    if (clear) counted.clear();
    if (until !== undefined) await counted.reached(until, timeoutMs);
    return counted.report();
  };
});

interface Counts {
  message(header: string): void;
  answer(): void;
  clear(): void;
  report(): SinkReport;
  reached(distinct: number, timeoutMs: number): Promise<void>;
}

function createCounts(header: string | undefined): Counts {
  const ids = new Set<string>();
  const values = new Set<string>();
  let agesMs: number[] = [];
  let [total, answers, firstAt, lastAt] = [0, 0, 0, 0];
  let awaited: { readonly distinct: number; readonly resolve: () => void } | undefined;
  return {
    message(text) {
      lastAt = performance.timeOrigin + performance.now();
      if (total === 0) firstAt = lastAt;
      total += 1;
      ids.add(fieldOf(text, "message-id") ?? `without ${total}`);
      const sentAt = fieldOf(text, SENT_AT);
      if (sentAt !== undefined) agesMs.push(lastAt - Number(sentAt));
      const value = header === undefined ? undefined : fieldOf(text, header);
      if (value !== undefined) values.add(value);
      if (awaited !== undefined && ids.size >= awaited.distinct) awaited.resolve();
    },
    answer() {
      answers += 1;
    },
    clear() {
      ids.clear();
      values.clear();
      agesMs = [];
      [total, answers, firstAt, lastAt] = [0, 0, 0, 0];
    },
    report: () => ({
      total,
      distinct: ids.size,
      firstAt,
      lastAt,
      agesMs,
      roundTrips: answers / total,
      headerValues: values.size,
    }),
    reached: (distinct, timeoutMs) =>
      new Promise((resolve) => {
        if (ids.size >= distinct) return resolve();
        const timer = setTimeout(resolve, timeoutMs);
        awaited = {
          distinct,
          resolve() {
            clearTimeout(timer);
            awaited = undefined;
            resolve();
          },
        };
      }),
  };
}

function fieldOf(header: string, name: string): string | undefined {
  const at = header.toLowerCase().indexOf(`\r\n${name.toLowerCase()}:`);
  if (at < 0) return undefined;
  const begin = at + name.length + 3;
  return header.slice(begin, header.indexOf("\r\n", begin)).trim();
}

function serve(socket: Socket, delayMs: number, counted: Counts): void {
  let held: Buffer = Buffer.alloc(0);
  let isInData = false;
  /** Cuts what ends so off what is held; undefined: not whole yet. */
  const cut = (ending: Buffer): Buffer | undefined => {
    const end = held.indexOf(ending);
    if (end < 0) return undefined;
    const part = held.subarray(0, end);
    held = held.subarray(end + ending.length);
    return part;
  };
  const step = (): string | undefined => {
    if (isInData) {
      const content = cut(END_OF_DATA);
      if (content === undefined) return undefined;
      isInData = false;
      const end = content.indexOf(END_OF_HEADER);
      counted.message(`\r\n${content.toString("latin1", 0, end < 0 ? content.length : end + 2)}`);
      return "250 2.0.0 taken\r\n";
    }
    const verb = cut(END_OF_LINE)?.toString("latin1", 0, 4).toUpperCase();
    isInData = verb === "DATA";
    return verb === undefined ? undefined : (REPLIES[verb] ?? "250 2.0.0 ok\r\n");
  };
  const answer = (text: string) => {
    if (socket.destroyed) return;
    if (text.endsWith(REPLIES.QUIT)) socket.end(text);
    else socket.write(text);
  };
  const later = (text: string) => {
    if (delayMs > 0) setTimeout(answer, delayMs, text);
    else answer(text);
  };
  socket.on("error", () => {});
  socket.on("data", (chunk: Buffer) => {
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    let answers = "";
    for (let one = step(); one !== undefined; one = step()) answers += one;
    if (answers === "") return;
    if (answers !== REPLIES.EHLO && !answers.endsWith(REPLIES.QUIT)) counted.answer();
    later(answers);
  });
  later("220 sink.example ESMTP\r\n");
}

const REPLIES: Readonly<Record<string, string>> & { readonly EHLO: string; readonly QUIT: string } = {
  EHLO: "250-sink.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250 SIZE 0\r\n",
  DATA: "354 go on\r\n",
  QUIT: "221 2.0.0 bye\r\n",
};
