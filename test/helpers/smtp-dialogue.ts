/**
 * A plain SMTP client for scenarios: sends lines, returns whole replies. No cleverness, so that tests say what goes over the wire.
 */
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";

export interface Dialogue {
  /** Sends a line (CRLF is added) and returns the reply, all its lines joined by "\n". */
  say(line: string): Promise<string>;
  /** Sends octets as they are. */
  write(octets: string | Uint8Array): void;
  /** The next reply. */
  reply(): Promise<string>;
  /** STARTTLS, EHLO again; with a name for SNI. */
  startTls(servername?: string): Promise<string>;
  /** Common name of the server's certificate; undefined without TLS. */
  certificateName(): string | undefined;
  /** MAIL, RCPT, DATA and the content; the reply to the end of data, or the first refusal. */
  send(sender: string, recipients: readonly string[], content: string): Promise<string>;
  close(): void;
  readonly closed: Promise<void>;
}

export interface DialogueOptions {
  readonly port: number;
  readonly host?: string;
  readonly localAddress?: string;
  readonly tls?: boolean;
  /** With `tls`: the name for SNI. */
  readonly servername?: string;
  /** Octets before anything else: a PROXY header. */
  readonly preface?: string | Uint8Array;
  /** Do not wait for the banner nor say EHLO. */
  readonly raw?: boolean;
}

/** Connects, reads the banner, says EHLO. */
export async function openDialogue(options: DialogueOptions): Promise<Dialogue> {
  const target = {
    port: options.port,
    host: options.host ?? "127.0.0.1",
    localAddress: options.localAddress,
  };
  const sni = options.servername === undefined ? {} : { servername: options.servername };
  const socket = options.tls
    ? connectTls({ ...target, ...sni, rejectUnauthorized: false })
    : connectTcp(target);
  const dialogue = new SocketDialogue(socket);
  if (options.preface !== undefined) dialogue.write(options.preface);
  if (options.raw) return dialogue;
  await dialogue.reply();
  await dialogue.say("EHLO client.example");
  return dialogue;
}

class SocketDialogue implements Dialogue {
  readonly closed: Promise<void>;
  #socket: Socket | TLSSocket;
  #text = "";
  #waiting: { resolve(reply: string): void; reject(error: Error): void }[] = [];
  #ended = false;
  #resolveClosed = () => {};

  constructor(socket: Socket | TLSSocket) {
    this.#socket = socket;
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    this.#listen(socket);
  }

  say(line: string): Promise<string> {
    this.#socket.write(`${line}\r\n`);
    return this.reply();
  }

  write(octets: string | Uint8Array): void {
    this.#socket.write(octets);
  }

  reply(): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#deliver();
    });
  }

  certificateName(): string | undefined {
    const name =
      "getPeerCertificate" in this.#socket ? this.#socket.getPeerCertificate().subject?.CN : undefined;
    return Array.isArray(name) ? name[0] : name;
  }

  async startTls(servername?: string): Promise<string> {
    const answer = await this.say("STARTTLS");
    if (!answer.startsWith("220")) return answer;
    this.#socket.removeAllListeners();
    const secure = connectTls({
      socket: this.#socket,
      rejectUnauthorized: false,
      ...(servername === undefined ? {} : { servername }),
    });
    await new Promise<void>((resolve, reject) => {
      secure.once("secureConnect", resolve);
      secure.once("error", reject);
    });
    this.#socket = secure;
    this.#listen(secure);
    return this.say("EHLO client.example");
  }

  async send(sender: string, recipients: readonly string[], content: string): Promise<string> {
    const lines = [
      `MAIL FROM:<${sender}>`,
      ...recipients.map((recipient) => `RCPT TO:<${recipient}>`),
      "DATA",
    ];
    for (const line of lines) {
      const answer = await this.say(line);
      if (!/^[23]/.test(answer)) return answer;
    }
    const stuffed = content.replace(/^\./gm, "..");
    this.#socket.write(`${stuffed}${stuffed.endsWith("\r\n") ? "" : "\r\n"}.\r\n`);
    return this.reply();
  }

  close(): void {
    this.#socket.destroy();
  }

  #listen(socket: Socket | TLSSocket): void {
    socket.on("data", (chunk: Buffer) => {
      this.#text += chunk.toString("utf8");
      this.#deliver();
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      this.#ended = true;
      this.#resolveClosed();
      this.#deliver();
    });
  }

  #deliver(): void {
    while (this.#waiting.length > 0) {
      const whole = /^(?:\d{3}-[^\n]*\n)*\d{3}(?: [^\n]*)?\r?\n/.exec(this.#text);
      if (whole !== null) {
        this.#text = this.#text.slice(whole[0].length);
        this.#waiting.shift()?.resolve(whole[0].trimEnd().replaceAll("\r\n", "\n"));
      } else if (this.#ended) {
        this.#waiting
          .shift()
          ?.reject(new Error(`The server closed the connection: "${this.#text}" was left`));
      } else {
        return;
      }
    }
  }
}
