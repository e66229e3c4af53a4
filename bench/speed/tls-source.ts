/**
 * A program: sends mail over STARTTLS as smtp-source does without: several clients at once, each waits for the reply to
 * each command. Ends with 1 and the reason at the first reply that is none of success.
 *
 * Usage: node tls-source.ts PORT CLIENTS MESSAGES SIZE RECIPIENTS kept|one
 *
 * @module
 */
import { connect, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";

const [port, clients, messages, size, recipients, mode] = process.argv.slice(2);
const KEPT = mode === "kept";
const RECIPIENTS = Number(recipients);
const CONTENT = content(Number(size));
let left = Number(messages);

try {
  await Promise.all(Array.from({ length: Number(clients) }, client));
} catch (error) {
  console.error(`tls-source: ${error instanceof Error ? error.message : error}`);
  process.exit(1);
}

/** Opens connections and sends until no message is left. */
async function client(): Promise<void> {
  while (takes()) {
    const say = await dialogue();
    do await transaction(say);
    while (KEPT && takes());
    await say("QUIT\r\n", "221");
  }
}

/** One message is this client's to send. */
function takes(): boolean {
  left -= 1;
  return left >= 0;
}

type Say = (command: string | Buffer, code: string) => Promise<void>;

async function transaction(say: Say): Promise<void> {
  await say("MAIL FROM:<load@source.example>\r\n", "250");
  for (let n = 0; n < RECIPIENTS; n += 1)
    await say(`RCPT TO:<${RECIPIENTS === 1 ? "" : n}ann@contoso.example>\r\n`, "250");
  await say("DATA\r\n", "354");
  await say(CONTENT, "250");
}

/** Connected, greeted, encrypted. */
async function dialogue(): Promise<Say> {
  const plain = connect({ port: Number(port), host: "127.0.0.1", noDelay: true });
  const sayPlain = replies(plain);
  await sayPlain("", "220");
  await sayPlain("EHLO source.example\r\n", "250");
  await sayPlain("STARTTLS\r\n", "220");
  plain.removeAllListeners("data");
  const secure = connectTls({ socket: plain, rejectUnauthorized: false });
  const say = replies(secure);
  await new Promise<void>((resolve, reject) => {
    secure.once("secureConnect", resolve);
    secure.once("error", reject);
  });
  await say("EHLO source.example\r\n", "250");
  return say;
}

/** Commands one after the other, each with the code that its reply must have. */
function replies(socket: Socket | TLSSocket): Say {
  let held = "";
  let settle: ((error?: Error) => void) | undefined;
  let wanted = "";
  const take = () => {
    const last = /^(\d{3}) .*\r\n$/m.exec(held)?.[0];
    if (last === undefined || settle === undefined) return;
    held = "";
    settle(last.startsWith(wanted) ? undefined : new Error(last.trim()));
  };
  socket.on("data", (chunk: Buffer) => {
    held += chunk.toString("latin1");
    take();
  });
  socket.on("error", (error) => settle?.(error));
  socket.on("close", () => settle?.(new Error("connection lost")));
  return (command, code) =>
    new Promise((resolve, reject) => {
      wanted = code;
      settle = (error) => {
        settle = undefined;
        if (error === undefined) resolve();
        else reject(error);
      };
      if (command.length > 0) socket.write(command);
      take();
    });
}

/** The header of smtp-source and as many octets of text. */
function content(octets: number): Buffer {
  const header =
    "From: <load@source.example>\r\nTo: <ann@contoso.example>\r\nMessage-Id: <load@source.example>\r\n\r\n";
  const line = `${"X".repeat(78)}\r\n`;
  const body = line.repeat(Math.ceil(octets / line.length)).slice(0, octets - 2);
  return Buffer.from(`${header}${body}\r\n.\r\n`);
}
