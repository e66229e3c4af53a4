/**
 * From an accepted socket to a running session: PROXY header, connector, limits, implicit TLS, start.
 *
 * A connection that may not become a session is told why where it can be told, and closed.
 *
 * @module
 */
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { Clock } from "../../lib/clock.ts";
import { formatReply, type Reply, reply } from "../../mail/reply.ts";
import type { SmtpSession } from "../../mail/session.ts";
import { bindingsAt, isTrustedProxy, type LocalEnd } from "./binding.ts";
import { findConnector } from "./connector.ts";
import type { Endpoints, SessionServices } from "./contract.ts";
import { type SessionCounts, tooManySessions } from "./limits.ts";
import { type Arrival, readProxyHeader, secure } from "./prologue.ts";
import { type ProxyHeader, plainAddress } from "./proxy-protocol.ts";
import { createSessionServices, type Shared } from "./session-services.ts";

/** The session half as this half sees it. */
export interface RunningSession {
  readonly session: SmtpSession;
  inTransaction(): boolean;
  /** 421 4.3.2 at the next command boundary; an open transaction may finish. */
  shutdown(): void;
}

export type StartSession = (
  socket: Socket | TLSSocket,
  endpoints: Endpoints,
  services: SessionServices,
  options: { readonly clock: Clock; readonly implicitTls: boolean; readonly earlyBytes?: Buffer },
) => RunningSession;

export interface Reception extends Shared {
  readonly counts: SessionCounts;
  /** Every socket accepted and not yet gone, session or not. */
  readonly sockets: Set<Socket>;
  /** Sockets that were refused and still read why; they take no place of those that are served. */
  readonly refused: Set<Socket>;
  readonly sessions: Set<RunningSession>;
  readonly start: StartSession;
}

const REFUSAL_LINGER_MS = 1000;
/** Beyond this many nobody is waited for: the reply is written, and that was it. */
const MAX_REFUSED = 1000;

const notServed = reply(554, "5.7.1", "No service for this client");
const closing = reply(421, "4.3.2", "Service not available, closing transmission channel");

/** Takes one connection as far as it gets. Never rejects. */
export async function receive(reception: Reception, socket: Socket, declaredPort: number): Promise<void> {
  const gone = keep(reception, socket);
  try {
    await admit(reception, { socket, gone, declaredPort });
  } catch (error) {
    reception.deps.log.error({ err: error }, "connection failed before its session began");
    socket.destroy();
  }
}

async function admit(reception: Reception, arrival: Arrival): Promise<void> {
  const { socket, declaredPort } = arrival;
  const { remoteAddress, remotePort, localAddress, localPort } = socket;
  // A client that has reset the connection already has no address any more.
  if (remoteAddress === undefined || localAddress === undefined) return void socket.destroy();
  const { table, maxInboundConnections } = reception.inForce();
  const local = { address: localAddress, port: declaredPort };
  if (reception.sockets.size > maxInboundConnections) {
    return refuse(reception, arrival, { reply: tooManySessions, reason: "maxInboundConnections", local });
  }
  const own = {
    clientAddress: plainAddress(remoteAddress),
    clientPort: remotePort ?? 0,
    localAddress: plainAddress(localAddress),
    localPort: localPort ?? declaredPort,
  };
  if (!isTrustedProxy(table, local, remoteAddress))
    return serve(reception, arrival, { endpoints: own, local });
  const proxied = await readProxyHeader(reception.deps, arrival);
  if (proxied === undefined) return void socket.destroy();
  const { header, rest } = proxied;
  const quiet = header.command === "LOCAL";
  return serve(reception, arrival, { endpoints: endsOf(header, own), local, rest, quiet });
}

interface Peer {
  readonly endpoints: Endpoints;
  readonly local: LocalEnd;
  /** Octets that came right after the PROXY header. */
  readonly rest?: Buffer;
  /** A balancer's health check: nothing about it is worth a count. */
  readonly quiet?: boolean;
}

async function serve(reception: Reception, arrival: Arrival, peer: Peer): Promise<void> {
  const { socket } = arrival;
  const { local, endpoints } = peer;
  const connector = findConnector(reception.inForce().table, local, endpoints.clientAddress)?.connector;
  if (reception.draining())
    return refuse(reception, arrival, { reply: closing, reason: "draining", ...peer });
  if (connector === undefined) {
    return refuse(reception, arrival, { reply: notServed, reason: "no connector", ...peer });
  }
  const { name, maxInboundConnection, maxInboundConnectionPerSource } = connector;
  const limits = { connector: name, maxInboundConnection, maxInboundConnectionPerSource };
  const place = reception.counts.admit(limits, endpoints.clientAddress);
  if (!("release" in place)) {
    return refuse(reception, arrival, { reply: place, reason: "connection limit", connector: name, ...peer });
  }
  socket.once("close", place.release);
  if (!peer.quiet) reception.deps.count("connection", { connector: name });
  let running: RunningSession | undefined;
  const services = createSessionServices(reception, {
    ...{ endpoints, local, connector, gone: arrival.gone },
    session: () => running?.session,
    closed: place.release,
  });
  const implicitTls = connector.tls.mode === "Implicit";
  if (implicitTls && peer.rest !== undefined && peer.rest.length > 0) socket.unshift(peer.rest);
  const stream = implicitTls ? await secure(reception.deps, arrival, services) : socket;
  if (stream === undefined) return void socket.destroy();
  const early =
    implicitTls || peer.rest === undefined || peer.rest.length === 0 ? {} : { earlyBytes: peer.rest };
  running = reception.start(stream, endpoints, services, {
    clock: reception.deps.clock,
    implicitTls,
    ...early,
  });
  track(reception, socket, running);
}

function track({ sessions, draining }: Reception, socket: Socket, running: RunningSession): void {
  if (socket.destroyed) return;
  sessions.add(running);
  socket.once("close", () => sessions.delete(running));
  if (draining()) running.shutdown();
}

/** From here on an error of the socket is only its end, and its end is noticed. */
function keep({ sockets, refused }: Reception, socket: Socket): AbortSignal {
  const gone = new AbortController();
  sockets.add(socket);
  // "close" follows, and that is where everything is released.
  socket.on("error", () => {});
  socket.once("close", () => {
    sockets.delete(socket);
    refused.delete(socket);
    gone.abort();
  });
  return gone.signal;
}

interface Refusal {
  readonly reply: Reply;
  readonly reason: string;
  readonly local: LocalEnd;
  readonly connector?: string;
  readonly quiet?: boolean;
}

/** Says why, as far as the client listens, and closes. */
function refuse(reception: Reception, { socket, gone }: Arrival, refusal: Refusal): void {
  const { deps, inForce } = reception;
  const { connector = "", reason } = refusal;
  if (!refusal.quiet) deps.count("refused", { connector, reason });
  const [binding] = bindingsAt(inForce().table, refusal.local);
  // Nothing can be said before the handshake, and a handshake for a refusal is not worth its cost.
  if (binding?.implicitTls === true) return void socket.destroy();
  reception.sockets.delete(socket);
  reception.refused.add(socket);
  // Reading what the client sends keeps the close from becoming a reset that overtakes the reply.
  socket.resume();
  socket.once("end", () => socket.destroySoon());
  socket.end(`${formatReply(refusal.reply)}\r\n`);
  if (reception.refused.size > MAX_REFUSED) {
    socket.destroySoon();
    return;
  }
  void deps.clock.sleep(REFUSAL_LINGER_MS, gone).then(
    () => socket.destroy(),
    () => undefined,
  );
}

function endsOf(header: ProxyHeader, own: Endpoints): Endpoints {
  if (header.ends === undefined) return own;
  const { source, destination } = header.ends;
  return {
    clientAddress: plainAddress(source.address),
    clientPort: source.port,
    localAddress: plainAddress(destination.address),
    localPort: destination.port,
  };
}
