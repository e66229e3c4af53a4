/** One connection of the sink (sink.ts): reads commands and content, asks the script, answers, records. */
import type { Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { createSecureContext, TLSSocket } from "node:tls";
import type { Sink, SinkAnswer, SinkMessage, SinkOptions } from "./sink.ts";

const EXTENSIONS = ["PIPELINING", "8BITMIME", "SMTPUTF8", "DSN", "SIZE 52428800", "ENHANCEDSTATUSCODES"];

export interface SinkState {
  readonly messages: SinkMessage[];
  readonly commands: string[];
  connections: number;
  readonly sockets: Set<Socket>;
  lastTls: Sink["lastTls"];
}

export class SinkSession {
  #socket: Socket;
  readonly #plain: Socket;
  readonly #state: SinkState;
  readonly #options: SinkOptions;
  readonly #number: number;
  readonly #counts = new Map<string, number>();
  #buffer: Buffer = Buffer.alloc(0);
  #mode: "command" | "content" | "chunk" | "login" | "stopped" = "command";
  #busy = false;
  #user: string | undefined;
  #sender: { address: string; parameters: string } | undefined;
  #recipients: { address: string; parameters: string }[] = [];
  #login: string[] = [];
  /** BDAT: what came in earlier chunks, and the one that comes now. */
  #chunks: Buffer[] = [];
  #chunk = { size: 0, last: false };

  constructor(socket: Socket, state: SinkState, options: SinkOptions) {
    this.#socket = socket;
    this.#plain = socket;
    this.#state = state;
    this.#options = options;
    this.#number = state.connections;
  }

  async start(): Promise<void> {
    if (this.#options.implicitTls) await this.#secure();
    else this.#listen();
    this.#busy = true;
    await this.#answer("CONNECT", "", "220 sink.test ESMTP");
    this.#busy = false;
    await this.#pump();
  }

  #listen(): void {
    this.#socket.on("data", (chunk: Buffer) => {
      this.#buffer = this.#buffer.length === 0 ? chunk : Buffer.concat([this.#buffer, chunk]);
      void this.#pump();
    });
    this.#socket.on("error", () => {});
  }

  async #secure(): Promise<void> {
    const { certificate, requestCert = false } = this.#options;
    this.#plain.removeAllListeners("data");
    this.#buffer = Buffer.alloc(0);
    const secureContext = createSecureContext({ cert: certificate?.cert, key: certificate?.key });
    const socket = new TLSSocket(this.#plain, {
      isServer: true,
      secureContext,
      requestCert,
      rejectUnauthorized: false,
      SNICallback: (_name, done) => done(null, secureContext),
    });
    this.#socket = socket;
    this.#listen();
    await new Promise((resolve) => socket.once("secure", resolve));
    const peer = requestCert ? socket.getPeerCertificate() : undefined;
    const clientName = peer?.subject?.CN;
    const servername = (socket as unknown as { servername?: string }).servername ?? false;
    this.#state.lastTls = { servername, clientName: typeof clientName === "string" ? clientName : undefined };
  }

  get #tls(): boolean {
    return this.#socket instanceof TLSSocket;
  }

  async #pump(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    try {
      while (this.#mode !== "stopped" && (await this.#step()));
    } finally {
      this.#busy = false;
    }
  }

  /** Takes one line or one content from the buffer. */
  async #step(): Promise<boolean> {
    if (this.#mode === "content") return this.#content();
    if (this.#mode === "chunk") return this.#takeChunk();
    const end = this.#buffer.indexOf("\n");
    if (end < 0) return false;
    const line = this.#buffer.subarray(0, end).toString("utf8").replace(/\r$/, "");
    this.#buffer = this.#buffer.subarray(end + 1);
    if (this.#mode === "login") await this.#loginStep(line);
    else await this.#command(line);
    return true;
  }

  async #content(): Promise<boolean> {
    // A content of nothing is only the dot.
    const empty = this.#buffer.subarray(0, 3).toString("latin1") === ".\r\n";
    const end = empty ? -2 : this.#buffer.indexOf("\r\n.\r\n");
    if (end === -1) return false;
    const content = this.#buffer
      .subarray(0, end + 2)
      .toString("latin1")
      .replace(/^\.(?=.)/gm, "");
    this.#buffer = this.#buffer.subarray(end + 5);
    await this.#finish(Buffer.from(content, "latin1"));
    return true;
  }

  /** RFC 3030: the octets as they are; the reply to a chunk that is not the last names no message. */
  async #takeChunk(): Promise<boolean> {
    const { size, last } = this.#chunk;
    if (this.#buffer.length < size) return false;
    this.#chunks.push(this.#buffer.subarray(0, size));
    this.#buffer = this.#buffer.subarray(size);
    this.#mode = "command";
    if (!last) await this.#reply("250 2.0.0 chunk taken");
    else await this.#finish(Buffer.concat(this.#chunks.splice(0)));
    return true;
  }

  async #finish(content: Buffer): Promise<void> {
    this.#mode = "command";
    const recipients = this.#recipients;
    const sender = this.#sender ?? { address: "", parameters: "" };
    this.#recipients = [];
    this.#sender = undefined;
    const taken: typeof recipients = [];
    for (const recipient of this.#options.lmtp ? recipients : [undefined]) {
      const reply = await this.#answer("CONTENT", recipient?.address ?? "", "250 2.0.0 taken");
      if (reply?.startsWith("2")) taken.push(...(recipient === undefined ? recipients : [recipient]));
    }
    if (taken.length > 0) this.#record(sender, taken, content);
  }

  #record(
    sender: { address: string; parameters: string },
    recipients: SinkMessage["recipients"],
    content: Buffer,
  ): void {
    const { address, parameters } = sender;
    const [tls, user, session] = [this.#tls, this.#user, this.#number];
    this.#state.messages.push({ sender: address, parameters, recipients, content, tls, user, session });
  }

  async #command(line: string): Promise<void> {
    this.#state.commands.push(`${this.#number} ${line}`);
    const [, word = "", argument = ""] = /^(\S*)\s*(.*)$/.exec(line) ?? [];
    const verb = word.toUpperCase();
    switch (verb) {
      case "EHLO":
      case "LHLO":
        await this.#answer(verb, argument, this.#hello());
        return;
      case "MAIL":
        if (await this.#accepts(verb, argument, "250 2.1.0 ok")) this.#sender = path(argument);
        return;
      case "RCPT":
        return this.#rcpt(argument);
      case "DATA":
        if (
          await this.#accepts(
            verb,
            argument,
            this.#recipients.length > 0 ? "354 go on" : "503 5.5.1 RCPT first",
          )
        ) {
          this.#mode = "content";
        }
        return;
      case "BDAT":
        this.#chunk = { size: Number.parseInt(argument, 10), last: / LAST$/i.test(argument) };
        this.#mode = "chunk";
        return;
      case "RSET":
        this.#sender = undefined;
        this.#recipients = [];
        await this.#answer(verb, argument, "250 2.0.0 ok");
        return;
      case "STARTTLS":
        return this.#startTls(argument);
      case "AUTH":
        return this.#auth(argument);
      case "QUIT":
        await this.#answer(verb, argument, "221 2.0.0 bye");
        this.#socket.end();
        this.#mode = "stopped";
        return;
      default:
        await this.#answer(verb, argument, "250 2.0.0 ok");
    }
  }

  async #accepts(verb: string, argument: string, own: string): Promise<boolean> {
    return /^[23]/.test((await this.#answer(verb, argument, own)) ?? "");
  }

  async #rcpt(argument: string): Promise<void> {
    const own = this.#sender === undefined ? "503 5.5.1 MAIL first" : "250 2.1.5 ok";
    if (await this.#accepts("RCPT", argument, own)) this.#recipients.push(path(argument));
  }

  async #startTls(argument: string): Promise<void> {
    if (!(await this.#accepts("STARTTLS", argument, "220 2.0.0 go on"))) return;
    if ((await this.#answer("TLS", "", "")) === "") await this.#secure();
  }

  #hello(): string {
    const { extensions = EXTENSIONS, certificate, users } = this.#options;
    const lines = ["sink.test", ...extensions];
    if (certificate !== undefined && !this.#tls) lines.push("STARTTLS");
    if (users !== undefined) lines.push("AUTH PLAIN LOGIN");
    return lines.map((line, index) => `250${index === lines.length - 1 ? " " : "-"}${line}`).join("\r\n");
  }

  async #auth(argument: string): Promise<void> {
    const [mechanism = "", initial = ""] = argument.split(" ");
    if (mechanism.toUpperCase() === "LOGIN") {
      this.#login = [];
      const reply = await this.#answer("AUTH", argument, "334 VXNlcm5hbWU6");
      if (reply?.startsWith("334")) this.#mode = "login";
      return;
    }
    const [, user = "", password = ""] = Buffer.from(initial, "base64").toString("utf8").split("\0");
    await this.#answer("AUTH", argument, this.#check(user, password));
  }

  async #loginStep(line: string): Promise<void> {
    this.#login.push(Buffer.from(line, "base64").toString("utf8"));
    const [user = "", password] = this.#login;
    if (password === undefined) return this.#send("334 UGFzc3dvcmQ6\r\n");
    this.#mode = "command";
    this.#send(`${this.#check(user, password)}\r\n`);
  }

  #check(user: string, password: string): string {
    if (this.#options.users?.[user] !== password) return "535 5.7.8 wrong";
    this.#user = user;
    return "235 2.7.0 ok";
  }

  /** Asks the script, sends; the reply that was sent, undefined when none or the session is over. */
  async #answer(verb: string, argument: string, own: string): Promise<string | undefined> {
    const nth = (this.#counts.get(verb) ?? 0) + 1;
    this.#counts.set(verb, nth);
    const { script } = this.#options;
    const asked = script?.({ verb, argument, session: this.#number, nth, tls: this.#tls });
    const answer = asked instanceof Promise ? await asked : asked;
    if (answer === undefined || typeof answer === "string") return this.#reply(answer ?? own);
    return this.#scripted(answer, own);
  }

  async #scripted(answer: Exclude<SinkAnswer, string | undefined>, own: string): Promise<string | undefined> {
    const { delayMs, raw, reply, close, destroy, silent } = answer;
    const stops = close === true || destroy === true || silent === true;
    if (delayMs !== undefined) await delay(delayMs);
    if (raw !== undefined) this.#send(raw);
    else if (reply !== undefined || !stops) this.#reply(reply ?? own);
    if (close) this.#socket.end();
    if (destroy) this.#plain.resetAndDestroy();
    if (stops) this.#mode = "stopped";
    if (raw !== undefined) return String(raw);
    return stops ? undefined : (reply ?? own);
  }

  #reply(reply: string): string {
    if (reply !== "") this.#send(`${reply}\r\n`);
    return reply;
  }

  #send(octets: string | Uint8Array): void {
    if (!this.#socket.destroyed && this.#socket.writable) this.#socket.write(octets);
  }
}

function path(argument: string): { address: string; parameters: string } {
  const [, address = "", parameters = ""] =
    /^(?:FROM|TO):\s*<((?:"(?:\\.|[^"\\])*"|[^>"])*)>\s*(.*)$/i.exec(argument) ?? [];
  return { address, parameters };
}
