/**
 * Is every message on disk before its 250? Judged from a trace of system calls. Pure.
 *
 * Each line of a body and each reverse-path has a mark of its own. A mark is on disk before a moment when one write to
 * a file that holds it had returned, then a flush of that file began, and that flush had returned without error; and
 * when the file is new, its folder was flushed after it got its name.
 */
import { dirname } from "node:path";
import { type Call, fileOf, parseTrace, peerPortOf } from "./trace.ts";

export interface MarkedMessage {
  readonly number: number;
  /** Of the connection that it came on, and its place there: 0 for the first. */
  readonly clientPort: number;
  readonly place: number;
  readonly lines: number;
}

export interface Judged {
  readonly number: number;
  /** Empty: it is on disk before its 250. */
  readonly fault: string;
  readonly linesOnDisk: number;
}

/** Lines that must be found whole: a mark that two pages share is not seen. */
const SEEN_SHARE = 0.9;
const WRITES = new Set(["write", "writev", "pwrite64", "pwritev", "pwritev2"]);
const SENDS = new Set(["write", "writev", "sendto", "sendmsg"]);

export function lineMark(message: number, line: number): string {
  return `<${message}.${line}>`;
}

export function reversePath(message: number): string {
  return `envelope-${message}-@source.example`;
}

export function judge(trace: string, messages: readonly MarkedMessage[]): Judged[] {
  const calls = parseTrace(trace);
  const marks = marksIn(calls);
  const flushes = flushesIn(calls);
  const named = newNames(calls);
  const replies = repliesIn(calls);
  const isOnDisk = (mark: string, before: number) =>
    (marks.get(mark) ?? []).some(
      ({ file, returned }) =>
        isFlushed(flushes.get(file), returned, before) &&
        (!named.has(file) || isFlushed(flushes.get(dirname(file)), named.get(file) ?? 0, before)),
    );
  return messages.map(({ number, clientPort, place, lines }) => {
    const reply = replies.get(clientPort)?.[place];
    if (reply === undefined) return { number, fault: "no 250 in the trace", linesOnDisk: 0 };
    const wrong: string[] = [];
    let linesOnDisk = 0;
    for (let line = 0; line < lines; line += 1) {
      const mark = lineMark(number, line);
      if (!marks.has(mark)) continue;
      if (isOnDisk(mark, reply)) linesOnDisk += 1;
      else wrong.push(mark);
    }
    if (wrong.length > 0) return { number, fault: `${wrong.length} lines not flushed first`, linesOnDisk };
    if (!isOnDisk(reversePath(number), reply)) return { number, fault: "row not flushed first", linesOnDisk };
    if (linesOnDisk < lines * SEEN_SHARE)
      return { number, fault: `${linesOnDisk} of ${lines} lines seen`, linesOnDisk };
    return { number, fault: "", linesOnDisk };
  });
}

interface Written {
  readonly file: string;
  readonly returned: number;
}

function marksIn(calls: readonly Call[]): Map<string, Written[]> {
  const marks = new Map<string, Written[]>();
  for (const call of calls) {
    const file = WRITES.has(call.name) && call.result >= 0 ? fileOf(call) : undefined;
    if (file === undefined) continue;
    for (const [mark] of call.words.matchAll(/<\d+\.\d+>|envelope-\d+-@source\.example/g))
      pushTo(marks, mark, { file, returned: call.returned });
  }
  return marks;
}

interface Flush {
  readonly entered: number;
  readonly returned: number;
}

/** Those that succeeded, by file. */
function flushesIn(calls: readonly Call[]): Map<string, Flush[]> {
  const flushes = new Map<string, Flush[]>();
  for (const call of calls) {
    const file = /^f(?:data)?sync$/.test(call.name) && call.result === 0 ? fileOf(call) : undefined;
    if (file !== undefined) pushTo(flushes, file, call);
  }
  return flushes;
}

function isFlushed(flushes: readonly Flush[] | undefined, after: number, before: number): boolean {
  return flushes?.some(({ entered, returned }) => entered > after && returned < before) ?? false;
}

/** Files that were made or got their name within the trace -> when. */
function newNames(calls: readonly Call[]): Map<string, number> {
  const names = new Map<string, number>();
  const opened = new Set<string>();
  for (const { name, words, result, returned } of calls) {
    if (result < 0) continue;
    const paths = [...words.matchAll(/"(\/[^"]*)"/g)].map(([, path = ""]) => path);
    const [first, second] = paths;
    if (name === "openat" && first !== undefined && words.includes("O_CREAT") && !opened.has(first)) {
      opened.add(first);
      names.set(first, returned);
    }
    if (name.startsWith("rename") && first !== undefined && second !== undefined) {
      opened.add(second);
      names.set(second, returned);
    }
  }
  return names;
}

/** Client port -> when the reply to each content began to be written: the 250 that follows a 354 on its connection. */
function repliesIn(calls: readonly Call[]): Map<number, number[]> {
  const replies = new Map<number, number[]>();
  const inData = new Set<number>();
  for (const call of calls) {
    const port = SENDS.has(call.name) ? peerPortOf(call) : undefined;
    if (port === undefined) continue;
    if (inData.has(port) && call.words.includes('"250 ')) {
      inData.delete(port);
      pushTo(replies, port, call.entered);
    }
    if (/["n]354 /.test(call.words)) inData.add(port);
  }
  return replies;
}

function pushTo<Key, Value>(map: Map<Key, Value[]>, key: Key, value: Value): void {
  const values = map.get(key);
  if (values === undefined) map.set(key, [value]);
  else values.push(value);
}
