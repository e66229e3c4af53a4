/**
 * A scriptable SMTP or LMTP server on loopback, for tests of whatever sends mail.
 *
 *   const sink = await startSink();                       // takes everything
 *   const sink = await startSink({ lmtp: true, extensions: ["PIPELINING"] });
 *   const sink = await startSink({ certificate, users: { ann: "secret" } });   // STARTTLS, AUTH PLAIN LOGIN
 *   const sink = await startSink({ script: ({ verb, nth }) => (verb === "RCPT" && nth === 2 ? "550 5.1.1 no" : undefined) });
 *   ... send to 127.0.0.1:sink.port ...
 *   await sink.messagesReach(1); sink.messages[0].content; sink.commands; await sink.close();
 *
 * The script sees every event before the sink answers it: CONNECT (the greeting), each verb, CONTENT (after the
 * final dot; with LMTP once a recipient), TLS (before the handshake). It answers with
 *   undefined            the sink's own answer
 *   "550 5.1.1 no"       that reply (several lines: join with "\r\n"; no final CRLF)
 *   { raw }              these octets as they are; garbage, half lines, several replies
 *   { silent: true }     nothing, ever
 *   { close: true }      FIN, after `reply` if given
 *   { destroy: true }    RST, after `reply` if given
 *   { delayMs, reply }   later
 *
 * @module
 */
import { once } from "node:events";
import { type AddressInfo, createServer, type Server } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { CertificateAndKey } from "../../lib/certificate.ts";
import { SinkSession, type SinkState } from "./sink-session.ts";

export interface SinkEvent {
  /** Upper case: CONNECT, EHLO, LHLO, MAIL, RCPT, DATA, CONTENT, RSET, STARTTLS, TLS, AUTH, QUIT ... */
  readonly verb: string;
  /** What follows the verb; for CONTENT with LMTP the recipient. */
  readonly argument: string;
  /** 1 for the first connection. */
  readonly session: number;
  /** 1 for the first such event of this connection. */
  readonly nth: number;
  readonly tls: boolean;
}

export type SinkAnswer =
  | string
  | undefined
  | {
      readonly reply?: string;
      readonly raw?: string | Uint8Array;
      readonly silent?: boolean;
      readonly close?: boolean;
      readonly destroy?: boolean;
      readonly delayMs?: number;
    };

export interface SinkOptions {
  readonly lmtp?: boolean;
  readonly host?: string;
  readonly port?: number;
  /** Lines of the EHLO reply beside STARTTLS and AUTH. */
  readonly extensions?: readonly string[];
  /** Offers STARTTLS with it. */
  readonly certificate?: CertificateAndKey;
  /** TLS from the first octet instead of STARTTLS. */
  readonly implicitTls?: boolean;
  /** Asks the client for a certificate (whoever signed it). */
  readonly requestCert?: boolean;
  /** Offers AUTH PLAIN LOGIN for them. */
  readonly users?: Readonly<Record<string, string>>;
  readonly script?: (event: SinkEvent) => SinkAnswer | Promise<SinkAnswer>;
}

export interface SinkMessage {
  readonly sender: string;
  /** After MAIL FROM:<...>, e.g. "BODY=8BITMIME SIZE=3". */
  readonly parameters: string;
  readonly recipients: readonly { readonly address: string; readonly parameters: string }[];
  /** Dot-stuffing undone, the final dot taken away. */
  readonly content: Buffer;
  readonly tls: boolean;
  readonly user: string | undefined;
  readonly session: number;
}

export interface Sink {
  readonly port: number;
  readonly host: string;
  readonly messages: SinkMessage[];
  /** Command lines of all sessions as they came: "1 EHLO a.example". */
  readonly commands: string[];
  /** Connections taken so far. */
  readonly connections: number;
  /** Connections open now. */
  readonly open: number;
  /** SNI name and common name of the client certificate of the last TLS session. */
  readonly lastTls:
    | { readonly servername: string | false; readonly clientName: string | undefined }
    | undefined;
  /** Resolves when so many messages have come. */
  messagesReach(count: number, timeoutMs?: number): Promise<void>;
  /** Cuts every open connection, keeps listening. */
  cut(): void;
  /** Cuts everything and stops. */
  close(): Promise<void>;
}

/** Listens on a random port of 127.0.0.1 unless told otherwise. */
export async function startSink(options: SinkOptions = {}): Promise<Sink> {
  const state: SinkState = {
    messages: [],
    commands: [],
    connections: 0,
    sockets: new Set(),
    lastTls: undefined,
  };
  const server: Server = createServer((socket) => {
    state.connections += 1;
    state.sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => state.sockets.delete(socket));
    socket.setNoDelay(true);
    new SinkSession(socket, state, options).start();
  });
  server.listen(options.port ?? 0, options.host ?? "127.0.0.1");
  await once(server, "listening");
  const cut = () => {
    for (const socket of state.sockets) socket.destroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    host: options.host ?? "127.0.0.1",
    messages: state.messages,
    commands: state.commands,
    get connections() {
      return state.connections;
    },
    get open() {
      return state.sockets.size;
    },
    get lastTls() {
      return state.lastTls;
    },
    async messagesReach(count, timeoutMs = 40_000) {
      const end = Date.now() + timeoutMs;
      while (state.messages.length < count) {
        if (Date.now() > end) throw new Error(`The sink has ${state.messages.length} of ${count} messages`);
        await delay(5);
      }
    },
    cut,
    async close() {
      const closed = once(server, "close");
      server.close();
      cut();
      await closed;
    },
  };
}
