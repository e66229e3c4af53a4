/** The program of mail-load.ts: its options as JSON in the first argument, lines of JSON on stdout, on until stdin ends. */
import { type Dialogue, openDialogue } from "../helpers/smtp-dialogue.ts";
import type { LoadFault, LoadResult, MailLoadOptions } from "./mail-load.ts";

const SENDERS = 8;
const MESSAGES_A_CONNECTION = 50;
const REPLY_MS = 15_000;
const PAUSE_MS = 500;

const options: MailLoadOptions = JSON.parse(process.argv[2] ?? "{}");
const begun = performance.now();
const accepted: string[] = [];
const faults: LoadFault[] = [];
const certificates: Record<string, number> = {};
let connections = 0;
let longestMs = 0;
let isEnding = false;
let given = 0;

/** Knows what it waits for, so that a fault can say it. */
class Sender {
  readonly #isKept: boolean;
  readonly #isSecure: boolean;
  #dialogue: Dialogue | undefined;
  #sent = 0;
  #stage = "connect";

  constructor(number: number) {
    this.#isKept = number % 2 === 0;
    this.#isSecure = number % 4 < 2;
  }

  async deliver(id: string): Promise<void> {
    const first = performance.now();
    while (!(await this.#attempt(id))) await pause(PAUSE_MS);
    longestMs = Math.max(longestMs, performance.now() - first);
    accepted.push(id);
  }

  async #attempt(id: string): Promise<boolean> {
    const time = Date.now();
    try {
      this.#dialogue ??= await this.#connect();
      await this.#transact(this.#dialogue, id);
      this.#sent += 1;
      if (!this.#isKept || this.#sent === MESSAGES_A_CONNECTION) await this.#quit(this.#dialogue);
      return true;
    } catch (cause) {
      faults.push({ time, stage: this.#stage, cause: (cause as Error).message, id });
      this.close();
      return false;
    }
  }

  async #connect(): Promise<Dialogue> {
    this.#sent = 0;
    this.#stage = "banner";
    const { host, port } = options;
    const dialogue = await openDialogue({ host, port, raw: true });
    try {
      await this.#expect("220", dialogue, dialogue.reply());
      await this.#say(dialogue, "EHLO client.example", "EHLO");
      if (this.#isSecure) await this.#secure(dialogue);
    } catch (cause) {
      dialogue.close();
      throw cause;
    }
    connections += 1;
    return dialogue;
  }

  async #secure(dialogue: Dialogue): Promise<void> {
    this.#stage = "STARTTLS";
    await this.#expect("250", dialogue, dialogue.startTls("mx.contoso.example"));
    const name = dialogue.certificateName() ?? "none";
    certificates[name] = (certificates[name] ?? 0) + 1;
  }

  async #transact(dialogue: Dialogue, id: string): Promise<void> {
    await this.#say(dialogue, "MAIL FROM:<ann@client.example>", "MAIL");
    await this.#say(dialogue, "RCPT TO:<bob@contoso.example>", "RCPT");
    await this.#say(dialogue, "DATA", "DATA", "354");
    this.#stage = "end of data";
    const head = ["From: ann@client.example", "To: bob@contoso.example", `Subject: ${id}`];
    dialogue.write([...head, `Message-ID: <${id}>`, "", "x".repeat(500), ".", ""].join("\r\n"));
    await this.#expect("250", dialogue, dialogue.reply());
  }

  /** Its message was taken: what comes of QUIT does not matter. */
  async #quit(dialogue: Dialogue): Promise<void> {
    await this.#expect("221", dialogue, dialogue.say("QUIT")).catch(() => {});
    this.close();
  }

  close(): void {
    this.#dialogue?.close();
    this.#dialogue = undefined;
  }

  #say(dialogue: Dialogue, line: string, stage: string, code = "250"): Promise<void> {
    this.#stage = stage;
    return this.#expect(code, dialogue, dialogue.say(line));
  }

  async #expect(code: string, dialogue: Dialogue, coming: Promise<string>): Promise<void> {
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      dialogue.close();
    }, REPLY_MS);
    const reply = await coming
      .catch(() => {
        throw new Error(isLate ? "no reply in time" : "connection closed");
      })
      .finally(() => clearTimeout(timer));
    if (!reply.startsWith(code)) throw new Error(reply.split("\n")[0]);
  }
}

async function send(number: number): Promise<void> {
  const sender = new Sender(number);
  const every = (SENDERS * 1000) / options.rate;
  let next = begun + (number * every) / SENDERS;
  while (given < options.messages || !isEnding) {
    given += 1;
    const id = `${options.name}.${given}@client.example`;
    await pause(next - performance.now());
    next = Math.max(next + every, performance.now() - every);
    await sender.deliver(id);
  }
  sender.close();
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));
}

function tell(what: { accepted: number } | { result: LoadResult }): void {
  process.stdout.write(`${JSON.stringify(what)}\n`);
}

process.stdin.on("end", () => {
  isEnding = true;
});
process.stdin.resume();
const reports = setInterval(() => tell({ accepted: accepted.length }), 500);
await Promise.all(Array.from({ length: SENDERS }, (_, number) => send(number)));
clearInterval(reports);
const seconds = (performance.now() - begun) / 1000;
const longestSeconds = longestMs / 1000;
tell({ result: { accepted, faults, certificates, connections, seconds, longestSeconds } });
