/**
 * A sender in a process of its own that measures how long a server takes to say 250.
 *
 * Paced (open loop): messages are due at times fixed beforehand, whether the server is quick or not; what waits for a
 * free connection waits in the figures. Unpaced (closed loop): each connection sends one after the other.
 *
 * @module
 */
import { startHelper } from "./helper-process.ts";

export interface SenderOptions {
  readonly port: number;
  readonly connections: number;
  readonly seconds: number;
  readonly size: number;
  readonly to: string;
  /** Messages a second; left out: as fast as the server takes them. */
  readonly perSecond?: number;
  /** QUIT after so many; left out: connections are kept. */
  readonly messagesPerConnection?: number;
  /** Stop after so many. */
  readonly messages?: number;
  readonly seed?: number;
}

export interface SenderReport {
  readonly accepted: number;
  /** Answered 4yz or 5yz, also instead of a banner. */
  readonly refused: number;
  /** The connection ended before the reply, or none was answered. */
  readonly dropped: number;
  /** Until the last 250. */
  readonly seconds: number;
  /** End of the data to 250, with the time that the message waited before its MAIL. */
  readonly replyMs: readonly number[];
  /** The same without that time. */
  readonly replyAloneMs: readonly number[];
  /** Due to 250: the whole transaction. */
  readonly transactionMs: readonly number[];
  /** How late the sender's own alarm was: part of the figures of every server. */
  readonly alarmLateMs: readonly number[];
}

export async function send(options: SenderOptions): Promise<SenderReport> {
  const helper = await startHelper<SenderOptions, "run", SenderReport>("sender-process.ts", options);
  try {
    return await helper.ask("run");
  } finally {
    await helper.stop();
  }
}
