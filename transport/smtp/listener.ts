/**
 * Listeners: the server sockets of the room. What stays the same stays open; what is gone closes at once, and its
 * sessions live on. New sockets are bound before anything changes: who takes the configuration knows what cannot be
 * bound. A binding that cannot be opened is a diagnostic, and is tried again at the next configuration.
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

/** Sockets bound for a configuration that is not in force yet: they take connections, and let them wait. */
export interface Opening {
  readonly diagnostics: readonly Diagnostic[];
  /** What waits is served, and what no binding names any more closes. */
  take(): void;
  /** As if it had never been: the new sockets close, and what had to make room for them listens again. */
  drop(): Promise<void>;
}

/** Lets connections wait until it is open. */
interface Gate {
  isOpen: boolean;
  readonly waiting: { readonly socket: Socket; readonly port: number }[];
}

const EVERY = new Set(["", "0.0.0.0"]);
/** Connections that the kernel keeps until we take them: a burst must not wait for its SYN to be sent again. */
const backlog = 4096;
/** The socket may not be made at all where IPv6 is off. */
const NO_IPV6 = new Set(["EAFNOSUPPORT", "EADDRNOTAVAIL", "EINVAL"]);

const MENDS: Readonly<Record<string, string>> = {
  EACCES: "permission denied; add the capability NET_BIND_SERVICE or use a port above 1023",
  EADDRINUSE: "another program listens there; stop it or use another port",
  EADDRNOTAVAIL: "this machine has no such address; correct it or leave it out",
};

/** What the machine lacks now it may have again in a moment: no fault of the binding. */
const LACKS = new Set(["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"]);

export class Listeners {
  readonly #open = new Map<string, Listener>();
  readonly #onConnection: OnConnection;
  readonly #onError: (error: Error) => void;
  readonly #reusePort: boolean;

  constructor(onConnection: OnConnection, onError: (error: Error) => void, reusePort = false) {
    this.#onConnection = onConnection;
    this.#onError = onError;
    this.#reusePort = reusePort;
  }

  /** Binds what exactly these endpoints need and is not open yet. One opening at a time. */
  async prepare(endpoints: readonly Endpoint[]): Promise<Opening> {
    const wanted = new Set(endpoints.map(keyOf));
    const fresh = endpoints.filter((endpoint) => !this.#open.has(keyOf(endpoint)));
    const gone = [...this.#open].filter(([key]) => !wanted.has(key)).map(([, listener]) => listener);
    // A wider binding can only be opened when the narrower ones on its port are gone, and the other way round.
    const inTheWay = gone.filter((listener) => fresh.some((endpoint) => overlap(listener, endpoint)));
    for (const { server } of inTheWay) server.close();
    const gate: Gate = { isOpen: false, waiting: [] };
    const opened: Listener[] = [];
    const diagnostics: Diagnostic[] = [];
    for (const endpoint of fresh) {
      const found = await this.#listen(endpoint, gate);
      if ("server" in found) opened.push(found);
      else diagnostics.push(...bindFaults(endpoint, found.cause));
    }
    return {
      diagnostics,
      take: () => {
        for (const listener of gone) this.#open.delete(keyOf(listener));
        for (const listener of opened) this.#open.set(keyOf(listener), listener);
        for (const { server } of gone) if (server.listening) server.close();
        this.#letIn(gate);
      },
      drop: async () => {
        for (const { server } of opened) server.close();
        for (const { socket } of gate.waiting) socket.destroy();
        for (const listener of inTheWay) await this.#reopen(listener);
      },
    };
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

  async #listen(
    { address, port }: Pick<Endpoint, "address" | "port">,
    gate: Gate,
  ): Promise<Listener | { readonly cause: unknown }> {
    try {
      const every = address === "";
      return { address, port, server: await this.#bind(every ? "::" : address, port, { every, gate }) };
    } catch (cause) {
      return { cause };
    }
  }

  async #reopen(listener: Listener): Promise<void> {
    // What cannot be opened is not open: the next configuration tries it again.
    this.#open.delete(keyOf(listener));
    const found = await this.#listen(listener, { isOpen: true, waiting: [] });
    if ("server" in found) this.#open.set(keyOf(listener), found);
    else this.#onError(new Error(`Cannot listen again on port ${listener.port}`, { cause: found.cause }));
  }

  async #bind(host: string, port: number, how: { every: boolean; gate: Gate }): Promise<Server> {
    const { promise, resolve, reject } = Promise.withResolvers<Server>();
    // A client may close its sending side after QUIT and still wait for our replies.
    const server = createServer({ allowHalfOpen: true, noDelay: true });
    server.once("error", reject);
    server.on("connection", (socket) => this.#arrive(socket, port, how.gate));
    server.listen({ host, port, backlog, ipv6Only: false, reusePort: this.#reusePort }, () => {
      server.off("error", reject);
      // Such as EMFILE at accept: the next connection may be luckier.
      server.on("error", this.#onError);
      resolve(server);
    });
    try {
      return await promise;
    } catch (error) {
      if (how.every && NO_IPV6.has(codeOf(error)))
        return this.#bind("0.0.0.0", port, { every: false, gate: how.gate });
      throw error;
    }
  }

  #arrive(socket: Socket, port: number, gate: Gate): void {
    if (gate.isOpen) {
      this.#onConnection(socket, port);
      return;
    }
    // It ends with its "close", which is looked at when the gate opens.
    socket.on("error", () => {});
    gate.waiting.push({ socket, port });
  }

  #letIn(gate: Gate): void {
    gate.isOpen = true;
    for (const { socket, port } of gate.waiting.splice(0)) {
      if (!socket.destroyed) this.#onConnection(socket, port);
    }
  }
}

/** True when the kernel refuses one beside the other. */
function overlap(a: Pick<Endpoint, "address" | "port">, b: Pick<Endpoint, "address" | "port">): boolean {
  return a.port === b.port && a.port !== 0 && (EVERY.has(a.address) || EVERY.has(b.address));
}

function bindFaults({ address, port, members }: Endpoint, error: unknown): readonly Diagnostic[] {
  const where = address === "" ? `port ${port}` : `${address} port ${port}`;
  const code = codeOf(error);
  const why = MENDS[code] ?? code;
  return members.map(({ connector, path }) => ({
    object: `ReceiveConnector/${connector.name}`,
    path,
    reason: LACKS.has(code) ? "OutOfResources" : "BindingFailed",
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
