/**
 * SmtpClient: one SMTP or LMTP session out.
 *
 * nodemailer opens the session (smtp-session.ts); from then on commands, replies and content are ours: its send()
 * knows one NOTIFY and ORCPT for all recipients, drops the replies of accepted ones, and has no SMTPUTF8 switch
 * (docs/decisions/0060), and its reading costs a turn of the event loop a reply. `transaction.ts` speaks MAIL, RCPT
 * and DATA over askAll(), expect() and write(). Nothing here rejects: an answer is a RemoteReply or a Loss.
 *
 * @module
 */
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { ClientOptions, OpenFailure } from "./client-options.ts";
import { Deadline } from "./deadline.ts";
import { clean, type Loss, parseRemoteReply, type RemoteReply } from "./outcome.ts";
import { ReplyReader } from "./reply-reader.ts";
import { logDialogue, makeSession, phaseOf, type Session, type SessionError } from "./smtp-session.ts";

/** Replies that one caller waits for, in order. */
interface Waiting {
  readonly answers: (RemoteReply | Loss)[];
  readonly wanted: number;
  readonly timeoutMs: number;
  readonly resolve: (answers: readonly (RemoteReply | Loss)[]) => void;
}

/** Connects, greets, upgrades, authenticates. */
export async function openClient(options: ClientOptions): Promise<SmtpClient | OpenFailure> {
  const client = new SmtpClient(options);
  options.onMade?.(client);
  const failure = (await client.connect()) ?? (await client.authenticate());
  if (failure === undefined) {
    client.takeOver();
    return client;
  }
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
  readonly #replies = new ReplyReader();
  #waiting: Waiting[] = [];
  #lastReply = "";
  #failure: SessionError | undefined;
  #loss: Loss | undefined;
  #wake: (() => void) | undefined;
  readonly #deadline: Deadline;
  #authenticating = false;
  #isClosing = false;
  #tls: string | undefined;

  constructor(options: ClientOptions) {
    this.options = options;
    this.#deadline = new Deadline(options.clock, () => this.#expire());
    this.#session = makeSession(options, () => this.#authenticating);
    this.#session.on("error", (error: SessionError) => this.#lose(error));
    this.#session.on("end", () => this.#lose(this.#isClosing ? undefined : this.#unexpectedEnd()));
  }

  get extensions(): ReadonlyMap<string, string> {
    return this.#session.extensions;
  }

  get lost(): Loss | undefined {
    return this.#loss;
  }

  /** "TLSv1.3 TLS_AES_256_GCM_SHA384", or undefined in clear text. */
  get tls(): string | undefined {
    return this.#tls;
  }

  /** Replies that are waited for and have not come. */
  get awaited(): number {
    let left = 0;
    for (const { wanted, answers } of this.#waiting) left += wanted - answers.length;
    return left;
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

  /** From here on nodemailer only watches over the socket's end. */
  takeOver(): void {
    const { _responseQueue, _remainder, _onSocketData, secure } = this.#session;
    if (_responseQueue.length > 0 || _remainder !== "") {
      this.#stray();
      return;
    }
    const socket = this.#socket;
    socket.off("data", _onSocketData);
    socket.on("data", (chunk: Buffer) => this.#read(chunk));
    // Time is the deadline's from now on.
    socket.setTimeout(0);
    if (!secure) return;
    const tls = socket as TLSSocket;
    this.#tls = `${tls.getProtocol()} ${tls.getCipher().name}`;
  }

  /** Sends one command and awaits its reply. */
  async ask(command: string): Promise<RemoteReply | Loss> {
    const [answer] = await this.askAll([command]);
    return answer as RemoteReply | Loss;
  }

  /** Sends commands in one write and awaits a reply to each (RFC 2920). */
  askAll(commands: readonly string[]): Promise<readonly (RemoteReply | Loss)[]> {
    const answers = this.expect(commands.length, this.options.timeouts.replyMs);
    this.#send(commands);
    return answers;
  }

  /** The next replies nobody else waits for; each in its time. */
  expect(wanted: number, timeoutMs: number): Promise<readonly (RemoteReply | Loss)[]> {
    const loss = this.#loss;
    if (loss !== undefined) return Promise.resolve(Array.from({ length: wanted }, () => loss));
    return new Promise((resolve) => {
      this.#waiting.push({ answers: [], wanted, timeoutMs, resolve });
      this.#deadline.set(timeoutMs);
    });
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
    const answer = this.expect(1, 5000);
    this.#send(["QUIT"]);
    await answer;
    this.close();
  }

  /** Closes at once. */
  close(): void {
    this.#isClosing = true;
    this.#session.close();
    this.#lose(undefined);
  }

  get #socket(): Socket {
    return this.#session._socket as Socket;
  }

  #send(commands: readonly string[]): void {
    if (this.#loss !== undefined) return;
    const { address, protocolLog } = this.options;
    if (protocolLog !== undefined)
      for (const command of commands) logDialogue(protocolLog, address, "client", command);
    this.#socket.write(`${commands.join("\r\n")}\r\n`);
  }

  #read(chunk: Buffer): void {
    if (this.#loss !== undefined) return;
    const replies = this.#replies.feed(chunk);
    if (replies === undefined) this.#fail(new Error("a reply is too long"));
    for (const reply of replies ?? []) {
      if (this.#loss !== undefined) return;
      this.#answer(reply);
    }
  }

  #answer(raw: string): void {
    const { address, protocolLog } = this.options;
    this.#lastReply = raw;
    if (protocolLog !== undefined) logDialogue(protocolLog, address, "server", raw);
    const reply = parseRemoteReply(raw);
    const waiting = this.#waiting[0];
    // RFC 5321 §3.8: a server that closes may say so at any time.
    if (waiting === undefined) {
      if (reply?.code === 421) this.close();
      else this.#stray();
      return;
    }
    waiting.answers.push(reply ?? { lost: true, reason: `garbled reply: ${clean(raw)}` });
    if (waiting.answers.length === waiting.wanted) {
      this.#waiting.shift();
      waiting.resolve(waiting.answers);
    }
    const next = this.#waiting[0];
    if (next === undefined) this.#deadline.clear();
    else this.#deadline.set(next.timeoutMs);
    if (reply === undefined || reply.code === 421) this.close();
  }

  /** A reply that came before its command would shift all that follow: an acceptance could be taken for another's. */
  #stray(): void {
    this.#fail(new Error("a reply came that was not asked for"));
  }

  #fail(error: SessionError): void {
    this.#lose(error);
    this.close();
  }

  #lose(error: SessionError | undefined): void {
    if (this.#loss !== undefined) return;
    this.#failure = error;
    const loss: Loss = { lost: true, reason: this.#reasonOf(error) };
    this.#loss = loss;
    this.#deadline.stop();
    for (const { answers, wanted, resolve } of this.#waiting.splice(0)) {
      while (answers.length < wanted) answers.push(loss);
      resolve(answers);
    }
    this.#wake?.();
    this.onLost?.();
  }

  /** Closed by the peer; undefined: nobody waited for it. */
  #unexpectedEnd(): SessionError | undefined {
    const { rest } = this.#replies;
    const isRefusal = /^[45]\d\d[ -]/.test(rest);
    if (isRefusal) this.#lastReply = rest;
    if (this.#waiting.length === 0) return undefined;
    return new Error(`Connection closed unexpectedly${isRefusal ? `: ${rest}` : ""}`);
  }

  #expire(): void {
    this.#fail(Object.assign(new Error("no answer in time"), { timeoutType: "REPLY_TIMEOUT" }));
  }

  #reasonOf(error: SessionError | undefined): string {
    if (error?.timeoutType !== undefined) return clean(error.message);
    const last = this.#lastReply === "" ? this.#session.lastServerResponse : this.#lastReply;
    if (typeof last === "string" && last.startsWith("421")) return clean(last);
    if (error === undefined) return "connection closed";
    const cause = error.originalCode === undefined ? "" : ` (${error.originalCode})`;
    return clean(`${error.message}${cause}`);
  }

  #openFailure(error: SessionError | undefined): OpenFailure {
    const phase = phaseOf(this.#session, error, this.options);
    const reply = parseRemoteReply(error?.response ?? "");
    if (reply !== undefined && (reply.code >= 400 || phase === "tls")) return { phase, answer: reply };
    return { phase, answer: this.#loss ?? { lost: true, reason: "connection closed" } };
  }
}
