/**
 * SmtpClient: one SMTP or LMTP session out. The only file that knows nodemailer's SMTPConnection inside.
 *
 * nodemailer connects, reads replies, upgrades to TLS and authenticates. Its send() is not used: it knows one
 * NOTIFY and ORCPT for all recipients, drops the replies of accepted ones, and has no SMTPUTF8 switch
 * (docs/decisions/0060). `transaction.ts` speaks MAIL, RCPT and DATA over ask(), expect() and write().
 * Nothing here rejects: an answer is a RemoteReply or a Loss.
 *
 * @module
 */
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import SMTPConnection from "nodemailer/lib/smtp-connection";
import type { Logger } from "../../lib/log.ts";
import type { ClientOptions, OpenFailure } from "./client-options.ts";
import { Deadline } from "./deadline.ts";
import { clean, type Loss, type Phase, parseRemoteReply, type RemoteReply } from "./outcome.ts";

interface Waiting {
  readonly resolve: (answer: RemoteReply | Loss) => void;
  readonly timeoutMs: number;
}

interface SessionError extends Error {
  readonly code?: string;
  readonly originalCode?: string;
  readonly response?: string;
  readonly command?: string;
  readonly timeoutType?: string;
}

/** What we lean on inside nodemailer 10.6.0; smtp-client.test.ts fails when an upgrade changes it. */
class Session extends SMTPConnection {
  declare _responseActions: ((line: string) => void)[];
  /** Complete replies not yet handed out. */
  declare _responseQueue: string[];
  declare _sendCommand: (line: string) => void;
  declare _supportedExtensions: string[];
  declare _ehloLines: string[];
  /** The EHLO reply while STARTTLS is under way, else false. */
  declare _plaintextEhlo: string | false;
  readonly extensions = new Map<string, string>();

  /** Instead of nodemailer's, which also finds extensions in the host name of the first line (RFC 5321 §4.1.1.1). */
  _parseEhloExtensions(reply: string): void {
    // RFC 3207 §4.2: what was said before TLS is forgotten.
    this.extensions.clear();
    this._ehloLines = reply
      .split(/\r?\n/)
      .slice(1)
      .map((line) => line.slice(4).trim());
    for (const line of this._ehloLines) {
      const [keyword = "", ...parameters] = line.split(/[ =]+/);
      if (keyword !== "") this.extensions.set(keyword.toUpperCase(), parameters.join(" "));
    }
    this._supportedExtensions = [...this.extensions.keys()];
    this.allowsAuth = this.extensions.has("AUTH");
  }
}

/** Connects, greets, upgrades, authenticates. */
export async function openClient(options: ClientOptions): Promise<SmtpClient | OpenFailure> {
  const client = new SmtpClient(options);
  options.onMade?.(client);
  const failure = (await client.connect()) ?? (await client.authenticate());
  if (failure === undefined) return client;
  client.close();
  return failure;
}

export class SmtpClient {
  readonly options: ClientOptions;
  /** Messages sent over this connection. */
  messages = 0;
  /** Called once when the connection is gone. */
  onLost: (() => void) | undefined;
  readonly #session: Session;
  readonly #waiting: Waiting[] = [];
  #failure: SessionError | undefined;
  #loss: Loss | undefined;
  #wake: (() => void) | undefined;
  readonly #deadline: Deadline;
  #authenticating = false;

  constructor(options: ClientOptions) {
    this.options = options;
    const { tls, timeouts, protocolLog } = options;
    this.#deadline = new Deadline(options.clock, () => this.#expire());
    this.#session = new Session({
      host: options.address,
      port: options.port,
      name: options.name,
      lmtp: options.lmtp,
      secure: tls.implicit,
      ignoreTLS: tls.use === "never",
      requireTLS: tls.use === "always",
      opportunisticTLS: tls.use === "if offered",
      tls: tls.options,
      connectionTimeout: timeouts.connectMs,
      greetingTimeout: timeouts.connectMs,
      // A backstop; the deadline below is the rule.
      socketTimeout: Math.max(timeouts.replyMs, timeouts.finalMs) + 60_000,
      socketCloseTimeout: 1000,
      maxResponseSize: 64 * 1024,
      logger:
        protocolLog === undefined
          ? false
          : protocolLogger(protocolLog, options.address, () => this.#authenticating),
      transactionLog: protocolLog !== undefined,
      ...(options.localAddress === undefined ? {} : { localAddress: options.localAddress }),
    });
    this.#session.on("error", (error: SessionError) => this.#lose(error));
    this.#session.on("end", () => this.#lose(undefined));
  }

  get extensions(): ReadonlyMap<string, string> {
    return this.#session.extensions;
  }

  get lost(): Loss | undefined {
    return this.#loss;
  }

  /** "TLSv1.3 TLS_AES_256_GCM_SHA384", or undefined in clear text. */
  get tls(): string | undefined {
    if (!this.#session.secure) return undefined;
    const socket = this.#socket as TLSSocket;
    return `${socket.getProtocol()} ${socket.getCipher().name}`;
  }

  async connect(): Promise<OpenFailure | undefined> {
    // nodemailer watches connecting and the greeting; this also bounds a peer that trickles its EHLO reply.
    this.#deadline.set(this.options.timeouts.connectMs + this.options.timeouts.replyMs);
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      this.#session.connect((error) => {
        if (error) this.#lose(error as SessionError);
        resolve();
      });
    });
    this.#wake = undefined;
    this.#deadline.clear();
    return this.#loss === undefined ? undefined : this.#openFailure(this.#failure);
  }

  /** RFC 4954. Credentials go in clear text only where the connector says so. */
  async authenticate(): Promise<OpenFailure | undefined> {
    const { auth } = this.options;
    if (auth === undefined) return undefined;
    if (!this.#session.secure && !auth.allowInsecure) {
      return { phase: "auth", answer: { lost: true, reason: "credentials are only sent over TLS" } };
    }
    if (!this.#session.allowsAuth) {
      return { phase: "auth", answer: { lost: true, reason: "the host does not offer AUTH" } };
    }
    this.#deadline.set(this.options.timeouts.replyMs);
    this.#authenticating = true;
    const error = await new Promise<SessionError | undefined>((resolve) => {
      this.#wake = () => resolve(this.#failure);
      const method = auth.mechanism.toUpperCase();
      this.#session.login({ method, user: auth.username, pass: auth.password }, (failed) =>
        resolve((failed as SessionError | null) ?? undefined),
      );
    });
    this.#authenticating = false;
    this.#wake = undefined;
    this.#deadline.clear();
    if (error === undefined && this.#loss === undefined) return undefined;
    const reply = parseRemoteReply(error?.response ?? "");
    return { phase: "auth", answer: reply ?? { lost: true, reason: "authentication failed" } };
  }

  /** Sends one command and awaits its reply; several may be under way (RFC 2920). */
  ask(command: string): Promise<RemoteReply | Loss> {
    const answer = this.expect(this.options.timeouts.replyMs);
    if (this.#loss === undefined) this.#session._sendCommand(command);
    return answer;
  }

  /** The next reply nobody else waits for. */
  expect(timeoutMs: number): Promise<RemoteReply | Loss> {
    this.#refuseStray();
    if (this.#loss !== undefined) return Promise.resolve(this.#loss);
    return new Promise((resolve) => {
      this.#waiting.push({ resolve, timeoutMs });
      this.#deadline.set(timeoutMs);
      this.#session._responseActions.push((line) => this.#answer(line));
    });
  }

  /** A reply that came before its command would shift all that follow: an acceptance could be taken for another's. */
  #refuseStray(): void {
    if (this.#waiting.length > 0 || this.#session._responseQueue.length === 0) return;
    this.#lose(new Error("a reply came that was not asked for"));
    this.close();
  }

  cork(): void {
    this.#socket.cork();
  }

  uncork(): void {
    this.#socket.uncork();
  }

  /** Writes octets as they are; a promise when the socket is full: await it before writing more. */
  write(chunk: Uint8Array): Promise<void> | undefined {
    if (this.#loss !== undefined || this.#socket.write(chunk)) return undefined;
    this.#deadline.set(this.options.timeouts.replyMs);
    return new Promise((resolve) => {
      this.#wake = resolve;
      this.#socket.once("drain", resolve);
    });
  }

  /** From now on the peer has this long to answer. */
  wait(timeoutMs: number): void {
    if (this.#waiting.length > 0) this.#deadline.set(timeoutMs);
  }

  /** Ends any transaction (RFC 5321 §4.1.1.5). False: the connection is of no more use. */
  async reset(): Promise<boolean> {
    const answer = await this.ask("RSET");
    return !("lost" in answer) && answer.code < 300;
  }

  /** QUIT, and closes when answered or after 5 s. */
  async quit(): Promise<void> {
    if (this.#loss !== undefined) return;
    const answer = this.expect(5000);
    this.#session._sendCommand("QUIT");
    await answer;
    this.close();
  }

  /** Closes at once. */
  close(): void {
    this.#session.close();
    this.#lose(undefined);
  }

  get #socket(): Socket {
    return this.#session._socket as Socket;
  }

  #answer(line: string): void {
    const waiting = this.#waiting.shift();
    const reply = parseRemoteReply(line);
    const next = this.#waiting[0];
    if (next === undefined) this.#deadline.clear();
    else this.#deadline.set(next.timeoutMs);
    waiting?.resolve(reply ?? { lost: true, reason: `garbled reply: ${clean(line)}` });
    if (reply === undefined) this.close();
  }

  #lose(error: SessionError | undefined): void {
    if (this.#loss !== undefined) return;
    this.#failure = error;
    this.#loss = { lost: true, reason: this.#reasonOf(error) };
    this.#deadline.stop();
    for (const { resolve } of this.#waiting.splice(0)) resolve(this.#loss);
    this.#wake?.();
    this.onLost?.();
  }

  #expire(): void {
    this.#lose(Object.assign(new Error("no answer in time"), { timeoutType: "REPLY_TIMEOUT" }));
    this.close();
  }

  #reasonOf(error: SessionError | undefined): string {
    if (error?.timeoutType !== undefined) return clean(error.message);
    const last = this.#session.lastServerResponse;
    if (typeof last === "string" && last.startsWith("421")) return clean(last);
    if (error === undefined) return "connection closed";
    const cause = error.originalCode === undefined ? "" : ` (${error.originalCode})`;
    return clean(`${error.message}${cause}`);
  }

  #openFailure(error: SessionError | undefined): OpenFailure {
    const phase = this.#phaseOf(error);
    const reply = parseRemoteReply(error?.response ?? "");
    if (reply !== undefined && (reply.code >= 400 || phase === "tls")) return { phase, answer: reply };
    return { phase, answer: this.#loss ?? { lost: true, reason: "connection closed" } };
  }

  #phaseOf(error: SessionError | undefined): Phase {
    const { options } = this;
    const { upgrading = false, _plaintextEhlo } = this.#session;
    if (error?.code === "ETLS" || upgrading || _plaintextEhlo !== false) return "tls";
    if (this.#session.stage === "init") {
      const refused = error?.originalCode === undefined || /^E[A-Z]+$/.test(error.originalCode);
      return options.tls.implicit && !refused ? "tls" : "connect";
    }
    return error?.command === "EHLO" || error?.command === "LHLO" || error?.command === "HELO"
      ? "ehlo"
      : "greeting";
  }
}

/** nodemailer's logger: the dialogue alone. It hides passwords itself; while authenticating we hide the rest too. */
function protocolLogger(log: Logger, remote: string, isSecret: () => boolean) {
  const quiet = () => {};
  const debug = ({ tnx }: { tnx?: string }, text: string) => {
    if (tnx !== "client" && tnx !== "server") return;
    const line = tnx === "client" && isSecret() ? "AUTH [hidden]" : clean(text);
    log.info({ remote, from: tnx, line }, "smtp dialogue");
  };
  return { trace: quiet, debug, info: quiet, warn: quiet, error: quiet, fatal: quiet, level: quiet };
}
