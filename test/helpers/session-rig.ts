/**
 * One SMTP session over real sockets on 127.0.0.1, for tests and benchmarks of transport/smtp/session.ts.
 *
 *   const rig = await startRig({ connector: { maxMessageSize: 1000 } });
 *   const client = await rig.connect();
 *   expect(await client.reply()).toMatch(/^220 /);
 *   expect(await client.say("EHLO me")).toContain("250");
 *   await rig.stop();
 *
 * @module
 */
import { connect, createServer, type Socket } from "node:net";
import { type Duplex, duplexPair } from "node:stream";
import { createSecureContext, type SecureContext, TLSSocket, connect as tlsConnect } from "node:tls";
import { type Clock, systemClock } from "../../lib/clock.ts";
import { formatAddress } from "../../mail/address.ts";
import { reply } from "../../mail/reply.ts";
import type { MessageSink, SessionHandler, SmtpTransaction } from "../../mail/session.ts";
import type { ReceiveConnectorEntry } from "../../snapshot/schema.ts";
import type { SessionServices } from "../../transport/smtp/contract.ts";
import { type SessionControl, startSession } from "../../transport/smtp/session.ts";
import { Watch } from "../../transport/smtp/watch.ts";
import { receiveConnector } from "./receive-connector.ts";

export interface RigOptions {
  readonly connector?: Partial<ReceiveConnectorEntry>;
  readonly handler?: Partial<SessionHandler>;
  readonly services?: Partial<SessionServices>;
  readonly clock?: Clock;
  readonly certificate?: { readonly cert: string; readonly key: string };
  readonly earlyBytes?: Buffer;
  /** TLS from the first octet, with `certificate`. */
  readonly implicitTls?: boolean;
  /** Sees each accepted socket before its session begins. */
  readonly onSocket?: (socket: Socket) => void;
}

export interface Accepted {
  readonly transaction: SmtpTransaction;
  readonly content: string;
}

export interface Rig {
  readonly port: number;
  readonly messages: Accepted[];
  /** What happened, one word each: "reset", "abort", "disconnect", "closed", "fault:during", "reject:VERB code". */
  readonly events: string[];
  readonly protocol: string[];
  readonly controls: SessionControl[];
  /** Connects, and takes the greeting. */
  open(): Promise<Client>;
  connect(): Promise<Client>;
  /** Runs a session on one end of a pair of streams; returns the other end. */
  pair(): Duplex;
  stop(): Promise<void>;
}

export async function startRig(options: RigOptions = {}): Promise<Rig> {
  const messages: Accepted[] = [];
  const events: string[] = [];
  const protocol: string[] = [];
  const controls: SessionControl[] = [];
  const sockets = new Set<Socket>();
  const watch = new Watch(options.clock ?? systemClock);
  const context = options.certificate && createSecureContext(options.certificate);
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    const endpoints = {
      clientAddress: socket.remoteAddress ?? "",
      clientPort: socket.remotePort ?? 0,
      localAddress: socket.localAddress ?? "",
      localPort: socket.localPort ?? 0,
    };
    const services = makeServices(options, { messages, events, protocol, context });
    const { clock = systemClock, earlyBytes, implicitTls = false } = options;
    options.onSocket?.(socket);
    if (!implicitTls) {
      controls.push(startSession(socket, endpoints, services, { clock, watch, implicitTls, earlyBytes }));
      return;
    }
    const secure = new TLSSocket(socket, { isServer: true, ...(context && { secureContext: context }) });
    secure.once("secure", () =>
      controls.push(startSession(secure, endpoints, services, { clock, watch, implicitTls })),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    port,
    messages,
    events,
    protocol,
    controls,
    connect: () => openClient(port),
    pair() {
      const [ours, theirs] = duplexPair();
      const endpoints = {
        clientAddress: "192.0.2.1",
        clientPort: 1,
        localAddress: "192.0.2.2",
        localPort: 25,
      };
      const services = makeServices(options, { messages, events, protocol, context });
      const { clock = systemClock } = options;
      // The one thing that a session asks of its socket and streams lack.
      const socket = Object.assign(ours, { setKeepAlive: () => ours }) as Duplex as Socket;
      startSession(socket, endpoints, services, { clock, watch, implicitTls: false });
      return theirs;
    },
    async open() {
      const client = await openClient(port);
      await client.reply();
      return client;
    },
    async stop() {
      for (const socket of sockets) socket.destroy();
      watch.close();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

interface Records {
  readonly messages: Accepted[];
  readonly events: string[];
  readonly protocol: string[];
  readonly context: SecureContext | undefined;
}

function makeServices(options: RigOptions, records: Records): SessionServices {
  const { messages, events, protocol, context } = records;
  const connector = receiveConnector({ fqdn: "mx.example", maxMessageSize: 1_000_000, ...options.connector });
  const handler: SessionHandler = {
    onConnect: () => undefined,
    onEhlo: () => undefined,
    onAuth: () => undefined,
    onMail: () => undefined,
    onRcpt: () => undefined,
    onData: (transaction) => collect(transaction, messages, events),
    onReset: () => void events.push("reset"),
    onReject: (verb, { code }) => void events.push(`reject:${verb} ${code}`),
    onDisconnect: () => void events.push("disconnect"),
    ...options.handler,
  };
  return {
    connector: () => connector,
    secureContext: () => context,
    authenticate: (user, password) => Promise.resolve(user === "ann" && password === "secret"),
    checkSender: () => undefined,
    checkRecipient: () => undefined,
    admitMessage: () => undefined,
    draining: () => false,
    handler,
    protocolLog: (direction, line) => void protocol.push(`${direction} ${line}`),
    fault: (error, during) => void events.push(`fault:${during} ${error}`),
    replied: () => undefined,
    closed: () => void events.push("closed"),
    ...options.services,
  };
}

function collect(transaction: SmtpTransaction, messages: Accepted[], events: string[]): MessageSink {
  const chunks: Buffer[] = [];
  return {
    write(chunk) {
      chunks.push(Buffer.from(chunk));
      return undefined;
    },
    end() {
      messages.push({ transaction, content: Buffer.concat(chunks).toString("latin1") });
      return Promise.resolve({ reply: reply(250, "2.6.0", "Queued") });
    },
    abort: () => void events.push("abort"),
  };
}

/** Recipients of an accepted message, as text. */
export function recipientsOf({ transaction }: Accepted): string[] {
  return transaction.envelope.recipients.map(({ address }) => formatAddress(address));
}

export interface Client {
  readonly socket: Socket;
  /** Everything received and not yet taken by reply(). */
  received(): string;
  write(text: string | Buffer): void;
  /** The next reply, all its lines; "" when the server has closed. */
  reply(): Promise<string>;
  /** Writes a line and takes the next reply. */
  say(line: string): Promise<string>;
  /** Everything until the server closes. */
  rest(): Promise<string>;
  startTls(ca: string, servername: string): Promise<Client>;
}

async function openClient(port: number): Promise<Client> {
  const socket = connect(port, "127.0.0.1");
  const client = makeClient(socket);
  await new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject));
  return client;
}

/** A client on a connected socket. */
export function makeClient(socket: Socket | TLSSocket): Client {
  let text = "";
  let isOver = false;
  let wake = () => {};
  const onData = (chunk: Buffer) => {
    text += chunk.toString("latin1");
    wake();
  };
  const onOver = () => {
    isOver = true;
    wake();
  };
  socket.on("data", onData).on("end", onOver).on("close", onOver).on("error", onOver);
  const change = () => new Promise<void>((resolve) => (wake = resolve));
  const client: Client = {
    socket,
    received: () => text,
    write: (octets) => void socket.write(octets),
    async reply() {
      for (;;) {
        const found = /^(?:\d{3}-[^\n]*\n)*\d{3} [^\n]*\n/.exec(text)?.[0];
        if (found !== undefined) {
          text = text.slice(found.length);
          return found.trimEnd();
        }
        if (isOver) return "";
        await change();
      }
    },
    say(line) {
      socket.write(`${line}\r\n`);
      return client.reply();
    },
    async rest() {
      while (!isOver) await change();
      return text;
    },
    async startTls(ca, servername) {
      socket.removeAllListeners("data");
      const secure = tlsConnect({ socket, ca, servername });
      await new Promise((resolve, reject) => secure.once("secureConnect", resolve).once("error", reject));
      return makeClient(secure);
    },
  };
  return client;
}
