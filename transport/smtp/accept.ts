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
import { Arrival, type Door } from "./arrival.ts";
import { bindingsAt, isTrustedProxy, type LocalEnd } from "./binding.ts";
import { findConnector } from "./connector.ts";
import type { Endpoints, SessionServices } from "./contract.ts";
import { type SessionCounts, tooManySessions } from "./limits.ts";
import { readProxyHeader, secure } from "./prologue.ts";
import { type ProxyHeader, plainAddress } from "./proxy-protocol.ts";
import { createSessionServices, type Shared } from "./session-services.ts";
import type { Watch } from "./watch.ts";

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
  options: {
    readonly clock: Clock;
    readonly watch: Watch;
    readonly implicitTls: boolean;
    readonly earlyBytes?: Buffer | undefined;
  },
) => RunningSession;

export interface Reception extends Shared, Door {
  readonly counts: SessionCounts;
  readonly watch: Watch;
  readonly start: StartSession;
}

const REFUSAL_LINGER_MS = 1000;
/** Beyond this many nobody is waited for: the reply is written, and that was it. */
const MAX_REFUSED = 1000;

const notServed = reply(554, "5.7.1", "No service for this client");
const closing = reply(421, "4.3.2", "Service not available, closing transmission channel");

/** Takes one connection as far as it gets. Never throws. */
export function receive(reception: Reception, socket: Socket, declaredPort: number): void {
  const arrival = new Arrival(reception, socket, declaredPort);
  const failed = (error: unknown) => {
    reception.deps.log.error({ err: error }, "connection failed before its session began");
    socket.destroy();
  };
  try {
    admit(reception, arrival)?.catch(failed);
  } catch (error) {
    failed(error);
  }
}

function admit(reception: Reception, arrival: Arrival): Promise<void> | undefined {
  const { socket, declaredPort } = arrival;
  const { remoteAddress, remotePort, localAddress, localPort } = socket;
  // A client that has reset the connection already has no address any more.
  if (remoteAddress === undefined || localAddress === undefined) return void socket.destroy();
  const { table, maxInboundConnections } = reception.inForce();
  const local = { address: localAddress, port: declaredPort };
  arrival.place = reception.counts.admitConnection(maxInboundConnections);
  if (arrival.place === undefined) {
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
  return admitProxied(reception, arrival, { own, local });
}

async function admitProxied(
  reception: Reception,
  arrival: Arrival,
  { own, local }: { readonly own: Endpoints; readonly local: LocalEnd },
): Promise<void> {
  const proxied = await readProxyHeader(reception.deps, arrival);
  if (proxied === undefined) return void arrival.socket.destroy();
  const { header, rest } = proxied;
  const quiet = header.command === "LOCAL";
  return serve(reception, arrival, { endpoints: endsOf(header, own), local, rest, quiet });
}

interface Peer {
  readonly endpoints: Endpoints;
  readonly local: LocalEnd;
  /** Octets that came right after the PROXY header. */
  readonly rest?: Buffer | undefined;
  /** A balancer's health check: nothing about it is worth a count. */
  readonly quiet?: boolean;
}

function serve(reception: Reception, arrival: Arrival, peer: Peer): Promise<void> | undefined {
  const { local, endpoints } = peer;
  const connector = findConnector(reception.inForce().table, local, endpoints.clientAddress)?.connector;
  if (reception.draining())
    return refuse(reception, arrival, { reply: closing, reason: "draining", ...peer });
  if (connector === undefined) {
    return refuse(reception, arrival, { reply: notServed, reason: "no connector", ...peer });
  }
  const { name } = connector;
  const seat = reception.counts.admit(name, connector, endpoints.clientAddress);
  if (!("release" in seat)) {
    return refuse(reception, arrival, { reply: seat, reason: "connection limit", connector: name, ...peer });
  }
  arrival.seat = seat;
  if (!peer.quiet) reception.deps.count("connection", { connector: name });
  const services = createSessionServices(reception, { endpoints, local, connector, arrival });
  if (connector.tls.mode === "Implicit") return startSecure(reception, arrival, { peer, services });
  begin(reception, arrival, { stream: arrival.socket, implicitTls: false, peer, services });
  return undefined;
}

interface Served {
  readonly peer: Peer;
  readonly services: SessionServices;
}

async function startSecure(reception: Reception, arrival: Arrival, served: Served): Promise<void> {
  const { socket } = arrival;
  const { rest } = served.peer;
  if (rest !== undefined && rest.length > 0) socket.unshift(rest);
  const stream = await secure(reception.deps, arrival, served.services);
  if (stream === undefined) return void socket.destroy();
  const peer = { ...served.peer, rest: undefined };
  begin(reception, arrival, { stream, implicitTls: true, ...served, peer });
}

function begin(
  reception: Reception,
  arrival: Arrival,
  {
    stream,
    implicitTls,
    peer,
    services,
  }: Served & { readonly stream: Socket | TLSSocket; readonly implicitTls: boolean },
): void {
  const { start, deps, watch, draining } = reception;
  const running = start(stream, peer.endpoints, services, {
    clock: deps.clock,
    watch,
    implicitTls,
    earlyBytes: peer.rest,
  });
  arrival.session = running;
  if (draining() && !arrival.socket.destroyed) running.shutdown();
}

interface Refusal {
  readonly reply: Reply;
  readonly reason: string;
  readonly local: LocalEnd;
  readonly connector?: string;
  readonly quiet?: boolean;
}

/** Says why, as far as the client listens, and closes. */
function refuse(reception: Reception, arrival: Arrival, refusal: Refusal): undefined {
  const { deps, inForce } = reception;
  const { socket } = arrival;
  const { connector = "", reason } = refusal;
  if (!refusal.quiet) deps.count("refused", { connector, reason });
  const [binding] = bindingsAt(inForce().table, refusal.local);
  // Nothing can be said before the handshake, and a handshake for a refusal is not worth its cost.
  if (binding?.implicitTls === true) return void socket.destroy();
  arrival.refuse();
  // Reading what the client sends keeps the close from becoming a reset that overtakes the reply.
  socket.resume();
  socket.once("end", () => socket.destroySoon());
  socket.end(`${formatReply(refusal.reply)}\r\n`);
  if (reception.refused > MAX_REFUSED) return void socket.destroySoon();
  deps.clock.sleep(REFUSAL_LINGER_MS, arrival.gone).then(
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
