/**
 * Wire: carries a session's socket: octets in with back pressure, replies out, half-close, the end.
 *
 * One chunk is worked on at a time. What the kernel hands over meanwhile waits, and then nothing more is read. STARTTLS
 * is smtp-server's (upgrade.ts); after it the TLS socket takes the place of the plain one.
 *
 * @module
 */
import type { Socket } from "node:net";
import { type SecureContext, TLSSocket } from "node:tls";
import type { Reply } from "../../mail/reply.ts";
import type { SmtpSession } from "../../mail/session.ts";
import type { Endpoints } from "./contract.ts";
import { replyText } from "./reply-lines.ts";
import { upgrade } from "./upgrade.ts";

export interface WireEvents {
  /** The next octets. More come when the promise resolves, or at once without one; it never rejects. */
  octets(chunk: Buffer): Promise<void> | undefined;
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
  readonly endpoints: Endpoints;
  /** TLS context for a server name; "" when the client names none. */
  secureContext(servername: string): SecureContext | undefined;
}

export interface Wire {
  /** Lets the octets in. */
  open(): void;
  /** Writes a reply; replies of one turn of the event loop leave together. */
  send(reply: Reply): void;
  /** Has the kernel ask a silent client whether it is still there; from the second call on nothing happens. */
  keepAlive(): void;
  /** Resolves when the client has taken enough of our replies; undefined: it has. */
  drained(): Promise<void> | undefined;
  /** True when octets have arrived behind those that octets() is working on. */
  hasMore(): boolean;
  /** Begins the TLS handshake. False: no certificate, nothing was done. */
  startTls(): boolean;
  /** Sends what is to be sent, then closes. Nothing is read any more. */
  close(): void;
  /** The same for a client that has taken its leave: it owes us nothing, so its side is not waited for. */
  leave(): void;
  /** Closes at once. */
  destroy(): void;
}

export function openWire(socket: Socket | TLSSocket, options: WireOptions, events: WireEvents): Wire {
  return new SocketWire(socket, options, events);
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

const KEEP_ALIVE_AFTER_MS = 60_000;

class SocketWire implements Wire {
  #socket: Socket | TLSSocket;
  readonly #options: WireOptions;
  readonly #events: WireEvents;
  /** Replies of this turn of the event loop. */
  #unsent = "";
  /** Chunks behind the one at work. */
  #waiting: Buffer[] | undefined;
  #isBusy = false;
  #isKeptAlive = false;
  /** octets() is at work and has not returned: what it sends leaves when it has. */
  #isCollecting = false;
  #hasEnded = false;
  #isUpgrading = false;
  #isClosing = false;
  #isOver = false;

  constructor(socket: Socket | TLSSocket, options: WireOptions, events: WireEvents) {
    this.#socket = socket;
    this.#options = options;
    this.#events = events;
  }

  open(): void {
    const socket = this.#socket;
    socket.on("close", () => this.#gone());
    socket.on("error", (error) => this.#failed(error));
    this.#read(socket);
  }

  send(reply: Reply): void {
    // While the handshake runs, the socket is the plaintext one: nothing may be written to it.
    if (this.#isUpgrading || this.#socket.destroyed || !this.#socket.writable) return;
    // Replies leave in one packet when one packet brought their commands (RFC 2920 §3.2).
    if (this.#unsent === "" && !this.#isCollecting) process.nextTick(flush, this);
    this.#unsent += replyText(reply);
  }

  keepAlive(): void {
    if (!this.#isKeptAlive) this.#socket.setKeepAlive(true, KEEP_ALIVE_AFTER_MS);
    this.#isKeptAlive = true;
  }

  drained(): Promise<void> | undefined {
    this.flush();
    const socket = this.#socket;
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
    return this.#waiting !== undefined || this.#socket.readableLength > 0;
  }

  startTls(): boolean {
    const context = this.#options.secureContext("");
    if (context === undefined || this.#isOver) return false;
    this.flush();
    this.#isUpgrading = true;
    this.#waiting = undefined;
    upgrade(this.#socket, context, {
      id: this.#options.id,
      endpoints: this.#options.endpoints,
      secureContext: (servername) => this.#options.secureContext(servername),
      secured: (tls) => this.#secured(tls),
      failed: (error) => this.#failed(error),
      closed: () => this.#gone(),
    });
    return true;
  }

  close(): void {
    this.flush();
    const socket = this.#socket;
    if (!socket.destroyed && socket.writable) socket.end();
    if (this.#isClosing) return;
    this.#isClosing = true;
    this.#waiting = undefined;
    // A paused socket never reads the FIN of the client. During a handshake the TLS socket does the reading.
    if (!this.#isUpgrading && !socket.destroyed) socket.resume();
  }

  leave(): void {
    this.flush();
    const socket = this.#socket;
    const isSent = socket.writableLength === 0;
    // TLS has a goodbye of its own. Octets that nobody reads would make the close a reset, and cost the client our reply.
    if (!isSent || socket instanceof TLSSocket || this.hasMore()) {
      this.close();
      return;
    }
    this.#isClosing = true;
    socket.destroy();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  flush(): void {
    const text = this.#unsent;
    if (text === "") return;
    this.#unsent = "";
    const socket = this.#socket;
    if (!socket.destroyed && socket.writable) socket.write(text, "latin1"); // replies are ASCII
  }

  #read(socket: Socket | TLSSocket): void {
    // A client may close its half after QUIT or DATA and still wait for the replies.
    socket.allowHalfOpen = true;
    socket.on("data", (chunk) => this.#arrived(chunk));
    socket.on("end", () => this.#ended());
  }

  #arrived(chunk: Buffer): void {
    if (this.#isClosing) return;
    if (!this.#isBusy) {
      this.#work(chunk);
      return;
    }
    this.#socket.pause();
    this.#waiting ??= [];
    this.#waiting.push(chunk);
  }

  #work(chunk: Buffer): void {
    const pending = this.#collect(chunk);
    if (pending === undefined) return;
    this.#isBusy = true;
    pending.then(() => this.#worked());
  }

  /** Replies that are ready when octets() returns leave then, without a turn of their own. */
  #collect(chunk: Buffer): Promise<void> | undefined {
    this.#isCollecting = true;
    try {
      return this.#events.octets(chunk);
    } finally {
      this.#isCollecting = false;
      this.flush();
    }
  }

  #worked(): void {
    this.#isBusy = false;
    while (!this.#isBusy && this.#waiting !== undefined) {
      const [chunk, ...rest] = this.#waiting;
      this.#waiting = rest.length === 0 ? undefined : rest;
      if (chunk !== undefined) this.#work(chunk);
    }
    if (this.#isBusy || this.#isClosing || this.#isUpgrading) return;
    if (this.#hasEnded) this.#events.ended();
    else if (this.#socket.isPaused()) this.#socket.resume();
  }

  #ended(): void {
    this.#hasEnded = true;
    if (!this.#isBusy && !this.#isClosing) this.#events.ended();
  }

  #secured(tls: TLSSocket): void {
    if (this.#isOver) return;
    this.#socket = tls;
    this.#isUpgrading = false;
    this.#events.secured(tls);
    this.#read(tls);
  }

  #failed(error: Error): void {
    this.#events.failed(error);
    this.#socket.destroy();
  }

  #gone(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#isClosing = true;
    this.#waiting = undefined;
    this.#events.closed();
  }
}

function flush(wire: SocketWire): void {
  wire.flush();
}
