/**
 * A program: an SMTP server that offers STARTTLS, takes everything, forgets it, and prints what it counted as smtp-sink
 * does, `mesg=N` and a carriage return.
 *
 * Usage: node tls-sink.ts PORT CERTIFICATE KEY
 *
 * @module
 */
import { readFileSync, writeSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { createSecureContext, TLSSocket } from "node:tls";

const [port, cert, key] = process.argv.slice(2);
if (port === undefined || cert === undefined || key === undefined)
  throw new Error("Usage: tls-sink.ts PORT CERTIFICATE KEY");
const secureContext = createSecureContext({ cert: readFileSync(cert), key: readFileSync(key) });

const EXTENSIONS = "250-sink.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SIZE 0\r\n";
const END = Buffer.from("\r\n.\r\n");
const LINE = Buffer.from("\r\n");
const ANSWERS: Readonly<Record<string, string>> = {
  DATA: "354 go on\r\n",
  STAR: "220 2.0.0 go ahead\r\n",
  QUIT: "221 2.0.0 bye\r\n",
};
let messages = 0;

createServer({ noDelay: true }, (socket) => {
  socket.on("error", () => {});
  socket.write("220 sink.example ESMTP\r\n");
  serve(socket, () => {
    const secure = new TLSSocket(socket, { isServer: true, secureContext });
    secure.on("error", () => {});
    serve(secure, undefined);
  });
}).listen(Number(port), "127.0.0.1", 1000);

/** `startTls` is called once the reply to STARTTLS is written; undefined: not offered (any more). */
function serve(socket: Socket, startTls: (() => void) | undefined): void {
  const next = reader();
  socket.on("data", function take(chunk: Buffer) {
    const before = messages;
    const said = answersTo(next, chunk, startTls !== undefined);
    if (messages > before) writeSync(1, `mesg=${messages}\r`);
    if (said.end === "QUIT") return void socket.end(said.answers);
    if (said.answers !== "") socket.write(said.answers);
    if (said.end !== "STAR") return;
    socket.off("data", take);
    startTls?.();
  });
}

interface Said {
  readonly answers: string;
  /** The verb after which nothing more is read. */
  readonly end?: string;
}

function answersTo(next: (chunk?: Buffer) => string | undefined, chunk: Buffer, offersTls: boolean): Said {
  let answers = "";
  for (let verb = next(chunk); verb !== undefined; verb = next()) {
    if (verb === ".") messages += 1;
    answers += answerTo(verb, offersTls);
    if (verb === "QUIT" || (verb === "STAR" && offersTls)) return { answers, end: verb };
  }
  return { answers };
}

/** Each call takes one line or one content off what came so far: its verb, "." for a content; undefined: not whole yet. */
function reader(): (chunk?: Buffer) => string | undefined {
  let held: Buffer = Buffer.alloc(0);
  let inData = false;
  return (chunk) => {
    if (chunk !== undefined) held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    const ending = inData ? END : LINE;
    const end = held.indexOf(ending);
    if (end < 0) return undefined;
    const verb = inData ? "." : held.toString("latin1", 0, 4).toUpperCase();
    held = held.subarray(end + ending.length);
    inData = verb === "DATA";
    return verb;
  };
}

function answerTo(verb: string, offersTls: boolean): string {
  if (verb === "EHLO")
    return `${EXTENSIONS}${offersTls ? "250-STARTTLS\r\n" : ""}250 ENHANCEDSTATUSCODES\r\n`;
  return ANSWERS[verb] ?? "250 2.0.0 ok\r\n";
}
