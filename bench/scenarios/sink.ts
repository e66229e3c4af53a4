/**
 * A next hop in a process of its own that takes everything, answers after a delay, and counts: messages by Message-Id,
 * round trips, how old each message is when it comes, the values of one header field.
 */
import { startHelper } from "./helper-process.ts";

export interface SinkOptions {
  readonly port: number;
  /** Before each answer; commands that came together are answered together. */
  readonly delayMs?: number;
  /** A header field whose values are counted. */
  readonly header?: string;
}

export interface SinkReport {
  readonly total: number;
  /** By Message-Id. */
  readonly distinct: number;
  /** Milliseconds since 1970. */
  readonly firstAt: number;
  readonly lastAt: number;
  /** Since the messages were due at their sender, for those that say so. */
  readonly agesMs: readonly number[];
  /** Answers after the greeting, EHLO and QUIT left out, for each message. */
  readonly roundTrips: number;
  readonly headerValues: number;
}

export interface Sink {
  readonly port: number;
  readonly pid: number;
  report(): Promise<SinkReport>;
  /** Begin to count anew. */
  clear(): Promise<void>;
  /** Resolves with the report when so many different ones have come, or when the time is over. */
  until(distinct: number, timeoutMs: number): Promise<SinkReport>;
  stop(): Promise<void>;
}

export async function startSink(options: SinkOptions): Promise<Sink> {
  const helper = await startHelper<SinkOptions, SinkQuestion, SinkReport>("sink-process.ts", options);
  const report = () => helper.ask({});
  return {
    port: options.port,
    pid: helper.pid,
    report,
    stop: () => helper.stop(),
    clear: async () => void (await helper.ask({ clear: true })),
    until: (distinct, timeoutMs) => helper.ask({ until: distinct, timeoutMs }),
  };
}

export interface SinkQuestion {
  readonly clear?: boolean;
  readonly until?: number;
  readonly timeoutMs?: number;
}
