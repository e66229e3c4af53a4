/**
 * A TCP line that can fail: a proxy of octets whose mode changes while connections are open.
 *
 *   const line = await openFaultyLine({ host, port });
 *   line.set({ kind: "stall" }); ... line.set({ kind: "pass" });
 *   line.reset();
 *
 * @module
 */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

export type LineMode =
  | { readonly kind: "pass" }
  /** Nobody listens; open connections go on. */
  | { readonly kind: "refuse" }
  /** Connections are taken and nothing moves, on open ones neither. What waits goes on with the next mode. */
  | { readonly kind: "stall" }
  /** Each piece of a stream comes this much later. */
  | { readonly kind: "slow"; readonly delayMs: number }
  /** After so many further octets from the server a connection is reset, or goes silent for good. */
  | { readonly kind: "limit"; readonly octets: number; readonly end: "reset" | "silence" };

export interface FaultyLine {
  readonly port: number;
  set(mode: LineMode): Promise<void>;
  /** RST on every open connection, to both ends. */
  reset(): void;
  /** Every open connection goes silent for good, as behind a firewall that forgot it; new ones pass. */
  silence(): void;
  readonly openConnections: number;
  /** Since the start. */
  readonly acceptedConnections: number;
  close(): Promise<void>;
}

const HOST = "127.0.0.1";

export async function openFaultyLine(target: { host: string; port: number }): Promise<FaultyLine> {
  const line = new Line(target);
  await line.listen();
  return line;
}

class Line implements FaultyLine {
  readonly #target: { host: string; port: number };
  readonly #links = new Set<Link>();
  #server: Server | undefined;
  #mode: LineMode = { kind: "pass" };
  #changed = Promise.withResolvers<void>();
  #accepted = 0;
  #port = 0;

  constructor(target: { host: string; port: number }) {
    this.#target = target;
  }

  get port(): number {
    return this.#port;
  }

  get openConnections(): number {
    return this.#links.size;
  }

  get acceptedConnections(): number {
    return this.#accepted;
  }

  async listen(): Promise<void> {
    if (this.#server !== undefined) return;
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.#accept(client));
    this.#server = server;
    server.listen(this.#port, HOST);
    await once(server, "listening");
    this.#port = (server.address() as AddressInfo).port;
  }

  async set(mode: LineMode): Promise<void> {
    this.#mode = mode;
    for (const link of this.#links) link.octets = 0;
    const { resolve } = this.#changed;
    this.#changed = Promise.withResolvers();
    resolve();
    if (mode.kind !== "refuse") return this.listen();
    // close() waits for open connections, listening ends at once.
    this.#server?.close();
    this.#server = undefined;
  }

  reset(): void {
    for (const link of this.#links) link.reset();
  }

  silence(): void {
    for (const link of this.#links) link.isSilent = true;
  }

  async close(): Promise<void> {
    this.#server?.close();
    this.reset();
  }

  #accept(client: Socket): void {
    this.#accepted += 1;
    const upstream = connect({ ...this.#target, allowHalfOpen: true, noDelay: true });
    const link = new Link(client, upstream);
    this.#links.add(link);
    let open = 2;
    for (const socket of [client, upstream]) {
      socket.on("error", () => link.reset());
      socket.once("close", () => {
        open -= 1;
        if (open === 0) this.#links.delete(link);
      });
    }
    void this.#pump(link, client, upstream);
    void this.#pump(link, upstream, client);
  }

  async #pump(link: Link, from: Socket, to: Socket): Promise<void> {
    try {
      for await (const piece of from as AsyncIterable<Buffer>) {
        const rest = await this.#through(link, piece, from === link.upstream);
        if (!to.write(rest)) await once(to, "drain");
      }
      await this.#through(link, Buffer.alloc(0), from === link.upstream);
      to.end();
    } catch {
      link.reset();
    }
  }

  /** What of the piece may go on, once it may. */
  async #through(link: Link, piece: Buffer, fromServer: boolean): Promise<Buffer> {
    while (this.#mode.kind === "stall") await this.#changed.promise;
    if (link.isSilent) return forever();
    const mode = this.#mode;
    if (mode.kind === "slow") await new Promise((resolve) => setTimeout(resolve, mode.delayMs));
    if (mode.kind !== "limit" || !fromServer) return piece;
    const left = mode.octets - link.octets;
    link.octets += piece.length;
    if (piece.length <= left) return piece;
    link.client.write(piece.subarray(0, Math.max(0, left)));
    if (mode.end === "reset") throw new Error("The limit is reached");
    link.isSilent = true;
    return forever();
  }
}

class Link {
  readonly client: Socket;
  readonly upstream: Socket;
  isSilent = false;
  /** From the server, since the mode was set. */
  octets = 0;

  constructor(client: Socket, upstream: Socket) {
    this.client = client;
    this.upstream = upstream;
  }

  reset(): void {
    for (const socket of [this.client, this.upstream]) resetSocket(socket);
  }
}

/** RST at once. libuv cannot reset while a shutdown is under way, and Node then forgets to close: those are closed plainly. */
function resetSocket(socket: Socket): void {
  if (socket.destroyed) return;
  const isEnding = socket.writableEnded && !socket.writableFinished;
  if (socket.connecting || isEnding) {
    socket.destroy();
    return;
  }
  // resetAndDestroy() would wait for writes to end, and begin that shutdown.
  socket.destroySoon = () => socket.destroy();
  socket.resetAndDestroy();
}

function forever(): Promise<never> {
  return new Promise(() => {});
}
