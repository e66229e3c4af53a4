/**
 * Listeners: the server sockets of the room. What stays the same stays open; what is gone closes at once, and its
 * sessions live on. A binding that cannot be opened is a diagnostic, and is tried again at the next apply.
 *
 * @module
 */
import { createServer, type Server, type Socket } from "node:net";
import type { Diagnostic } from "../../lib/diagnostics.ts";
import type { Endpoint } from "./binding.ts";

export interface Listener {
  readonly address: string;
  /** As the binding declares it. */
  readonly port: number;
  readonly server: Server;
}

/** A new connection, and the port its binding declares. */
export type OnConnection = (socket: Socket, port: number) => void;

/** Connections that the kernel keeps until we take them: a burst must not wait for its SYN to be sent again. */
const backlog = 4096;
const keepAliveInitialDelay = 60_000;
/** The socket may not be made at all where IPv6 is off. */
const NO_IPV6 = new Set(["EAFNOSUPPORT", "EADDRNOTAVAIL", "EINVAL"]);

const MENDS: Readonly<Record<string, string>> = {
  EACCES: "permission denied; add the capability NET_BIND_SERVICE or use a port above 1023",
  EADDRINUSE: "another program listens there; stop it or use another port",
  EADDRNOTAVAIL: "this machine has no such address; correct it or leave it out",
};

export class Listeners {
  readonly #open = new Map<string, Listener>();
  readonly #onConnection: OnConnection;
  readonly #onError: (error: Error) => void;

  constructor(onConnection: OnConnection, onError: (error: Error) => void) {
    this.#onConnection = onConnection;
    this.#onError = onError;
  }

  /** Opens and closes until exactly these endpoints listen. */
  async apply(endpoints: readonly Endpoint[]): Promise<readonly Diagnostic[]> {
    const wanted = new Set(endpoints.map(keyOf));
    // Close first: a wider binding can only be opened when the narrower ones on its port are gone.
    for (const [key, { server }] of this.#open) {
      if (wanted.has(key)) continue;
      this.#open.delete(key);
      server.close();
    }
    const diagnostics: Diagnostic[] = [];
    for (const endpoint of endpoints) {
      if (!this.#open.has(keyOf(endpoint))) diagnostics.push(...(await this.#listen(endpoint)));
    }
    return diagnostics;
  }

  bindings(): readonly { readonly address: string; readonly port: number }[] {
    return [...this.#open.values()].flatMap(({ server }) => {
      const bound = server.address();
      return bound === null || typeof bound === "string"
        ? []
        : [{ address: bound.address, port: bound.port }];
    });
  }

  close(): void {
    for (const { server } of this.#open.values()) server.close();
    this.#open.clear();
  }

  async #listen(endpoint: Endpoint): Promise<readonly Diagnostic[]> {
    const { address, port } = endpoint;
    try {
      const server = await this.#bind(address === "" ? "::" : address, port, address === "");
      this.#open.set(keyOf(endpoint), { address, port, server });
      return [];
    } catch (error) {
      return bindFaults(endpoint, error);
    }
  }

  async #bind(host: string, port: number, mayFallBack: boolean): Promise<Server> {
    const { promise, resolve, reject } = Promise.withResolvers<Server>();
    // A client may close its sending side after QUIT and still wait for our replies.
    const server = createServer({
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay,
    });
    server.once("error", reject);
    server.on("connection", (socket) => this.#onConnection(socket, port));
    server.listen({ host, port, backlog, ipv6Only: false }, () => {
      server.off("error", reject);
      // Such as EMFILE at accept: the next connection may be luckier.
      server.on("error", this.#onError);
      resolve(server);
    });
    try {
      return await promise;
    } catch (error) {
      if (mayFallBack && NO_IPV6.has(codeOf(error))) return this.#bind("0.0.0.0", port, false);
      throw error;
    }
  }
}

function bindFaults({ address, port, members }: Endpoint, error: unknown): readonly Diagnostic[] {
  const where = address === "" ? `port ${port}` : `${address} port ${port}`;
  const why = MENDS[codeOf(error)] ?? codeOf(error);
  return members.map(({ connector, path }) => ({
    object: `ReceiveConnector/${connector.name}`,
    path,
    reason: "BindingFailed",
    message: `Cannot listen on ${where}: ${why}`,
    severity: "error",
  }));
}

function keyOf({ address, port }: Pick<Endpoint, "address" | "port">): string {
  return `${address}|${port}`;
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "unknown error";
}
