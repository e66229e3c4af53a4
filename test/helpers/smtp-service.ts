/** The service of the smtp room with a session of four lines in place of the real one; clients; what they say. */
import { connect, type Socket } from "node:net";
import { afterEach } from "vitest";
import { type Clock, systemClock } from "../../lib/clock.ts";
import type { SessionHandler, SmtpSession } from "../../mail/session.ts";
import type { ReceiveConnectorEntry, Secrets } from "../../snapshot/schema.ts";
import type { StartSession } from "../../transport/smtp/accept.ts";
import type { Endpoints, SessionServices } from "../../transport/smtp/contract.ts";
import type { SmtpConfig, SmtpService } from "../../transport/smtp/mod.ts";
import { createSmtpService } from "../../transport/smtp/service.ts";
import { domainsOf, snapshotOf } from "./receive-connector.ts";

export { freePort } from "./free-port.ts";

export interface Begun {
  readonly endpoints: Endpoints;
  readonly services: SessionServices;
  readonly early: string;
  readonly session: SmtpSession;
  transaction: boolean;
}

export interface Bench {
  readonly service: SmtpService;
  readonly begun: Begun[];
  readonly counts: string[];
  readonly logs: object[];
}

const services: SmtpService[] = [];
/** Clients of the running test; all are gone after it. */
export const clients = new Set<Socket>();
afterEach(async () => {
  for (const client of clients) client.destroy();
  clients.clear();
  await Promise.all(services.splice(0).map((service) => service.close(0)));
});

/** A session that says its connector, echoes lines, and leaves at QUIT. */
function echoSession(begun: Begun[]): StartSession {
  return (socket, endpoints, sessionServices, { implicitTls, earlyBytes }) => {
    const session: SmtpSession = {
      id: `s${begun.length}`,
      ...endpoints,
      connector: sessionServices.connector()?.name ?? "",
      helo: "",
      extended: true,
      tls: implicitTls ? { protocol: "TLSv1.3", cipher: "x", servername: "" } : undefined,
      user: undefined,
      internal: false,
      mayRelay: false,
    };
    const own: Begun = {
      ...{ endpoints, services: sessionServices, session },
      early: earlyBytes?.toString() ?? "",
      transaction: false,
    };
    begun.push(own);
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      if (chunk.includes("QUIT")) socket.end("221 bye\r\n");
      else socket.write(`250 ${sessionServices.connector()?.name ?? "none"} ${chunk}`);
    });
    socket.on("end", () => socket.end());
    socket.on("close", () => sessionServices.closed());
    socket.write(`220 ${session.connector} ${endpoints.clientAddress}\r\n`);
    return {
      session,
      inTransaction: () => own.transaction,
      shutdown: () => own.transaction || socket.end("421 4.3.2 closing\r\n"),
    };
  };
}

export function bench(clock: Clock = systemClock): Bench {
  const begun: Begun[] = [];
  const counts: string[] = [];
  const logs: object[] = [];
  const log = {
    debug: (fields: object) => logs.push(fields),
    info: (fields: object) => logs.push(fields),
    warn: (fields: object) => logs.push(fields),
    error: (fields: object) => logs.push(fields),
  };
  const service = createSmtpService(
    {
      open: (session) => ({ opened: session }) as unknown as SessionHandler,
      clock,
      log,
      count: (event, labels) => counts.push([event, ...Object.values(labels)].join(" ")),
    },
    echoSession(begun),
  );
  services.push(service);
  return { service, begun, counts, logs };
}

export function config(
  connectors: readonly ReceiveConnectorEntry[],
  { secrets = new Map() as Secrets, maxInboundConnections = 10_000 } = {},
): SmtpConfig {
  return {
    snapshot: snapshotOf(connectors, { maxInboundConnections }),
    domains: domainsOf("contoso.example"),
    secrets,
  };
}

export function dial(service: SmtpService, host = "127.0.0.1", position = 0, localAddress?: string): Socket {
  const socket = connect({
    host,
    port: service.bindings()[position]!.port,
    ...(localAddress === undefined ? {} : { localAddress }),
  });
  socket.on("error", () => {});
  clients.add(socket);
  return socket;
}

/** Everything the server says until `end` holds of it or it closes. */
export async function read(
  socket: Socket,
  end: (text: string) => boolean = (text) => text.endsWith("\r\n"),
): Promise<string> {
  let text = "";
  return new Promise((resolve) => {
    const onData = (chunk: Buffer) => {
      text += chunk;
      if (end(text)) done();
    };
    const done = () => {
      socket.off("data", onData).off("close", done).off("end", done);
      resolve(text);
    };
    socket.on("data", onData).on("close", done).on("end", done);
  });
}
export const untilClosed = (socket: Socket) => read(socket, () => false);

export async function until(holds: () => boolean): Promise<void> {
  const deadline = Date.now() + 40_000;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error(`never held: ${holds}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
export async function say(socket: Socket, line: string): Promise<string> {
  const answer = read(socket);
  socket.write(`${line}\r\n`);
  return answer;
}
