/** The events of one watch: lines of JSON until the server ends it, the line breaks, or nothing is heard for too long. */
import type { IncomingMessage } from "node:http";
import type { Clock } from "../clock.ts";
import { errorOfStatus, KubeError } from "./errors.ts";
import { Deadline } from "./http-deadline.ts";
import { failureOf } from "./http-exchange.ts";
import type { WatchEvent } from "./types.ts";
import { LineSplitter } from "./watch-lines.ts";

export interface WatchCall {
  readonly path: string;
  readonly signal: AbortSignal;
  readonly silenceMs: number;
}

/** etcd takes 1.5 MiB an object; JSON may write it longer. */
const MAX_LINE_BYTES = 32 * 1024 * 1024;
const LOOKS = 4;

/** `open` sends the request and resolves with an answer 2xx, or rejects with KubeError. An ERROR event is thrown. */
export async function* watchEvents(
  call: WatchCall,
  open: (signal: AbortSignal) => Promise<IncomingMessage>,
  clock: Clock,
): AsyncGenerator<WatchEvent, void, undefined> {
  const named = { verb: "WATCH", path: call.path };
  const silence = new Deadline({ clock, ms: call.silenceMs, outer: call.signal, looks: LOOKS });
  let response: IncomingMessage | undefined;
  try {
    response = await open(silence.signal);
    const lines = new LineSplitter(MAX_LINE_BYTES);
    for await (const piece of response as AsyncIterable<Buffer>) {
      silence.heard();
      for (const line of lines.push(piece)) {
        // What was read before the caller gave up is no event any more.
        if (silence.signal.aborted) throw silence.signal.reason;
        yield eventOf(line, named);
      }
    }
    if (lines.pending > 0) throw new Error("the watch ended within an event");
  } catch (error) {
    throw failureOfWatch(error, call, silence);
  } finally {
    silence.end();
    response?.destroy();
  }
}

function failureOfWatch(error: unknown, { path, silenceMs }: WatchCall, { cause }: Deadline): KubeError {
  const named = { verb: "WATCH", path };
  if (cause === "timeout")
    return failureOf(named, "timeout", new Error(`nothing was heard for ${silenceMs} ms`));
  if (cause === "aborted") return failureOf(named, "aborted", new Error("the caller gave up"));
  if (error instanceof KubeError) return error;
  return failureOf(named, error instanceof RangeError ? "too-large" : "network", error);
}

function eventOf(line: string, named: { readonly verb: string; readonly path: string }): WatchEvent {
  const event = parse(line, named);
  if (event.type === "ERROR") throw errorOfStatus(named, event.object, { status: 500 });
  return event;
}

function parse(line: string, named: { readonly verb: string; readonly path: string }): WatchEvent {
  let event: WatchEvent | undefined;
  try {
    event = JSON.parse(line) as WatchEvent;
  } catch {
    // The parser's words would quote the object.
  }
  if (typeof event?.type === "string" && typeof event.object === "object" && event.object !== null)
    return event;
  throw failureOf(named, "malformed", new Error("a line is no watch event"));
}
