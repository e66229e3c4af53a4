/**
 * Wire: the one file that knows the inside of smtp-server (docs/decisions/0010-smtp-server-behind-wire.md).
 *
 * smtp-server carries the socket: pipe with back pressure, errors, half-close and its deadline, the switch to TLS
 * with the plaintext parser retired. Parsing, verbs, replies, greeting and timeouts are ours: its parser is replaced,
 * its timers are never armed, its verbs are never reached. wire.test.ts fails when an upgrade moves what this leans on.
 *
 * @module
 */
import type { Socket } from "node:net";
import type { SecureContext, TLSSocket } from "node:tls";
import type { SMTPServer } from "smtp-server";
import { SMTPConnection } from "smtp-server/lib/smtp-connection.js";
import { SMTPStream } from "smtp-server/lib/smtp-stream.js";
import type { Reply } from "../../mail/reply.ts";
import type { SmtpSession } from "../../mail/session.ts";
import type { Endpoints } from "./contract.ts";
import { formatLines } from "./reply-lines.ts";

export interface WireEvents {
  /** The next octets. More come when the promise resolves; it never rejects. */
  octets(chunk: Buffer): Promise<void>;
  /** The client has closed its half. */
  ended(): void;
  /** TLS is up. */
  secured(socket: TLSSocket): void;
  /** The socket or the TLS handshake failed; closed() follows. */
  failed(error: Error): void;
  /** The socket is gone. Once. */
  closed(): void;
}

export interface WireOptions {
  readonly id: string;
  readonly isTls: boolean;
  readonly endpoints: Endpoints;
  /** TLS context for a server name; "" when the client names none. */
  readonly secureContext: (servername: string) => SecureContext | undefined;
}

export interface Wire {
  /** Lets the octets in. */
  open(): void;
  /** Writes a reply; replies of one turn of the event loop leave together. Returns its lines. */
  send(reply: Reply): readonly string[];
  /** Resolves when the client has taken enough of our replies; undefined: it has. */
  drained(): Promise<void> | undefined;
  /** True when octets have arrived behind those that octets() is working on. */
  hasMore(): boolean;
  /** Begins the TLS handshake. False: no certificate, nothing was done. */
  startTls(): boolean;
  /** Sends what is to be sent, then closes. Nothing is read any more. */
  close(): void;
  /** Closes at once. */
  destroy(): void;
}

export function openWire(socket: Socket | TLSSocket, options: WireOptions, events: WireEvents): Wire {
  const connection = new Connection(socket, options, events);
  return {
    open: () => connection.open(),
    send: (reply) => connection.sendReply(reply),
    drained: () => connection.drained(),
    hasMore: () => connection.hasMore(),
    startTls: () => connection.startTls(),
    close: () => connection.close(),
    destroy: () => connection.destroySocket(),
  };
}

/** What a session tells of its TLS. */
export function tlsFacts(socket: TLSSocket): NonNullable<SmtpSession["tls"]> {
  // A string, or false when the client named none; missing in the types.
  const { servername } = socket as { servername?: string | false };
  return {
    protocol: socket.getProtocol() ?? "",
    cipher: socket.getCipher()?.name ?? "",
    servername: servername || "",
  };
}

class Connection extends SMTPConnection {
  readonly #events: WireEvents;
  readonly #options: WireOptions;
  readonly #host: Host;
  /** Replies of this turn of the event loop. */
  #unsent = "";

  constructor(socket: Socket | TLSSocket, options: WireOptions, events: WireEvents) {
    const host = makeHost(options, events);
    super(host as unknown as SMTPServer, socket, { id: options.id, ...addressesOf(options.endpoints) });
    this.#events = events;
    this.#options = options;
    this.#host = host;
  }

  open(): void {
    // A client may close its half after QUIT or DATA and still wait for the replies.
    this._socket.allowHalfOpen = true;
    this._setListeners(() => undefined);
  }

  sendReply(reply: Reply): readonly string[] {
    const lines = formatLines(reply);
    const socket = this._socket;
    // While the handshake runs, _socket is the plaintext one: nothing may be written to it.
    if (this._upgrading || socket.destroyed || !socket.writable) return lines;
    // Replies leave in one packet when one packet brought their commands (RFC 2920 §3.2).
    if (this.#unsent === "") process.nextTick(() => this.#flush());
    this.#unsent += `${lines.join("\r\n")}\r\n`;
    return lines;
  }

  drained(): Promise<void> | undefined {
    this.#flush();
    const socket = this._socket;
    if (!socket.writableNeedDrain || socket.destroyed) return undefined;
    return new Promise((resolve) => {
      const done = () => {
        socket.off("drain", done);
        socket.off("close", done);
        resolve();
      };
      socket.on("drain", done);
      socket.on("close", done);
    });
  }

  hasMore(): boolean {
    const parser = this._parser;
    return parser instanceof Parser && (parser.hasMore() || this._socket.readableLength > 0);
  }

  startTls(): boolean {
    const context = this.#options.secureContext("");
    if (context === undefined || !this._parser) return false;
    this.#host.secureContext.set("*", context);
    this.#flush();
    const socket = this._socket;
    // upgrade() takes every listener off the socket; the service's own must hear it close.
    const onClose = socket.rawListeners("close") as (() => void)[];
    // Its first callback would resume the parser that is retired now; ours resumes with octets().
    this.upgrade(
      () => undefined,
      () => undefined,
    );
    for (const listener of onClose) socket.on("close", listener);
    return true;
  }

  destroySocket(): void {
    this._socket.destroy();
  }

  override close(): void {
    this.#flush();
    super.close();
  }

  // Called from SMTPConnection's constructor, before the fields of this class exist.
  override _createParser(): SMTPStream {
    const parser = new Parser(
      (chunk) => this.#events.octets(chunk),
      () => this.#events.ended(),
    );
    parser.on("error", (error) => this._onError(error));
    return parser;
  }

  /** Shown each new socket. The idle time is Pace's business: socket.setTimeout would count our own time too. */
  override _armTimeout(socket?: Socket): void {
    if (!this._upgrading || socket === undefined) return;
    // A half-closed client cannot finish a handshake: "end" before "secure" is the end of it.
    const onEnd = () => socket.destroy();
    socket.once("end", onEnd).once("secure", () => socket.off("end", onEnd));
  }

  override _onError(error: Error): void {
    this.#events.failed(error);
    this._socket.destroy();
  }

  #flush(): void {
    const text = this.#unsent;
    if (text === "") return;
    this.#unsent = "";
    const socket = this._socket;
    if (!socket.destroyed && socket.writable) socket.write(text, "latin1"); // replies are ASCII
  }
}

/** SMTPStream's place in the pipe, with none of its parsing. */
class Parser extends SMTPStream {
  readonly #octets: (chunk: Buffer) => Promise<void>;
  readonly #ended: () => void;
  #inWork = 0;

  constructor(octets: (chunk: Buffer) => Promise<void>, ended: () => void) {
    super();
    this.#octets = octets;
    this.#ended = ended;
  }

  hasMore(): boolean {
    return this.writableLength > this.#inWork;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding | "buffer", next: () => void): void {
    if (this.isClosed) {
      next();
      return;
    }
    this.#inWork = chunk.length;
    this.#octets(chunk).then(() => {
      this.#inWork = 0;
      next();
    });
  }

  override _flushData(): void {
    if (!this.isClosed) this.#ended();
  }
}

/** What an SMTPConnection asks of its SMTPServer. */
interface Host {
  readonly options: { readonly secure: boolean };
  readonly connections: Set<unknown>;
  readonly secureContext: Map<string, SecureContext>;
}

const silent = { info: () => undefined, debug: () => undefined, error: () => undefined };

function makeHost({ isTls, secureContext }: WireOptions, events: WireEvents): Host {
  const host = {
    options: { secure: isTls, name: "postroom" },
    logger: silent,
    connections: new Set<unknown>(),
    secureContext: new Map<string, SecureContext>(),
    _resolveSNI(servername: string, done: (error: Error | null, context?: SecureContext) => void) {
      done(null, secureContext(servername));
    },
    onSecure(socket: TLSSocket, _session: unknown, done: () => void) {
      events.secured(socket);
      done();
    },
    onClose: () => events.closed(),
  };
  return host;
}

function addressesOf(endpoints: Endpoints) {
  return {
    localAddress: endpoints.localAddress,
    localPort: endpoints.localPort,
    remoteAddress: endpoints.clientAddress,
    remotePort: endpoints.clientPort,
  };
}
