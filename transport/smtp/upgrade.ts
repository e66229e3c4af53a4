/**
 * Upgrade: STARTTLS, and the one file that knows the inside of smtp-server (docs/decisions/0109-a-socket-costs-little.md).
 *
 * smtp-server switches a socket to TLS: listeners off, handshake, faults of the handshake, renegotiation. It is made when
 * a client says STARTTLS and lives to the end of the connection, but carries nothing: its parsers are never written to,
 * its timers are never armed, its verbs are never reached. upgrade.test.ts fails when an upgrade of the package moves
 * what this leans on.
 *
 * @module
 */
import type { Socket } from "node:net";
import type { SecureContext, TLSSocket } from "node:tls";
import type { SMTPServer } from "smtp-server";
import { SMTPConnection } from "smtp-server/lib/smtp-connection.js";
import { SMTPStream } from "smtp-server/lib/smtp-stream.js";
import type { Endpoints } from "./contract.ts";

export interface UpgradeOptions {
  readonly id: string;
  readonly endpoints: Endpoints;
  secureContext(servername: string): SecureContext | undefined;
  /** The handshake is done; nothing was read from the socket yet. */
  secured(socket: TLSSocket): void;
  /** The handshake, or the TLS socket later, failed. */
  failed(error: Error): void;
  /** The TLS socket is gone. */
  closed(): void;
}

/** Begins the handshake on a socket that nobody reads any more; `context` is for clients that name no server. */
export function upgrade(socket: Socket, context: SecureContext, options: UpgradeOptions): void {
  // upgrade() takes every listener off the socket; the service's own must hear it close.
  const onClose = socket.rawListeners("close") as (() => void)[];
  const connection = new Connection(socket, context, options);
  connection.upgrade(
    () => undefined,
    () => undefined,
  );
  for (const listener of onClose) socket.on("close", listener);
}

class Connection extends SMTPConnection {
  readonly #options: UpgradeOptions;

  constructor(socket: Socket, context: SecureContext, options: UpgradeOptions) {
    super(makeHost(context, options) as unknown as SMTPServer, socket, {
      id: options.id,
      localAddress: options.endpoints.localAddress,
      localPort: options.endpoints.localPort,
      remoteAddress: options.endpoints.clientAddress,
      remotePort: options.endpoints.clientPort,
    });
    this.#options = options;
  }

  override _createParser(): SMTPStream {
    return new SMTPStream();
  }

  /** Shown the TLS socket. The idle time is Pace's business: socket.setTimeout would count our own time too. */
  override _armTimeout(socket?: Socket): void {
    // A half-closed client cannot finish a handshake: "end" before "secure" is the end of it.
    const onEnd = () => socket?.destroy();
    socket?.once("end", onEnd).once("secure", () => socket.off("end", onEnd));
  }

  override _onError(error: Error): void {
    this.#options.failed(error);
  }
}

/** What an SMTPConnection asks of its SMTPServer. */
interface Host {
  readonly options: { readonly secure: boolean; readonly name: string };
  readonly logger: object;
  readonly connections: Set<unknown>;
  readonly secureContext: Map<string, SecureContext>;
  _resolveSNI(servername: string, done: (error: Error | null, context?: SecureContext) => void): void;
  /** The third argument would pipe the socket into smtp-server's parser: it is never called. */
  onSecure(socket: TLSSocket): void;
  onClose(): void;
}

const silent = { info: () => undefined, debug: () => undefined, error: () => undefined };

function makeHost(context: SecureContext, { secureContext, secured, closed }: UpgradeOptions): Host {
  return {
    options: { secure: false, name: "postroom" },
    logger: silent,
    connections: new Set(),
    secureContext: new Map([["*", context]]),
    _resolveSNI: (servername, done) => done(null, secureContext(servername)),
    onSecure: secured,
    onClose: closed,
  };
}
