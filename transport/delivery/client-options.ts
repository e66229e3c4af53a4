/** What a session is opened with, and why one could not be opened. */
import type { ConnectionOptions } from "node:tls";
import type { Clock } from "../../lib/clock.ts";
import type { Logger } from "../../lib/log.ts";
import type { Loss, Phase, RemoteReply } from "./outcome.ts";

export interface ClientOptions {
  readonly address: string;
  readonly port: number;
  /** The host's name as configured or found in DNS, for SNI and certificates. */
  readonly host: string;
  readonly lmtp: boolean;
  /** Name in EHLO. */
  readonly name: string;
  readonly localAddress: string | undefined;
  readonly tls: {
    readonly use: "never" | "if offered" | "always";
    readonly implicit: boolean;
    readonly options: ConnectionOptions;
  };
  readonly auth:
    | {
        readonly mechanism: "Plain" | "Login";
        readonly username: string;
        readonly password: string;
        readonly allowInsecure: boolean;
      }
    | undefined;
  readonly timeouts: { readonly connectMs: number; readonly replyMs: number; readonly finalMs: number };
  readonly clock: Clock;
  /** Gets the dialogue, never content or credentials. */
  readonly protocolLog: Logger | undefined;
  /** Sees the client before it connects, so that it can be closed meanwhile. */
  readonly onMade?: (client: Closable) => void;
}

export interface Closable {
  close(): void;
}

export interface OpenFailure {
  readonly phase: Phase;
  readonly answer: RemoteReply | Loss;
}
