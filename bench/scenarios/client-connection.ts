/**
 * One connection of a sender: EHLO, then messages, each as two writes (envelope with DATA, RFC 2920; content), with the
 * moments that are measured. Bare sockets, so that the sender costs little beside what it measures.
 */
import { connect, type Socket } from "node:net";

export interface Sent {
  /** The code of the last reply; 0: the connection ended first. */
  readonly code: number;
  /** performance.now() before MAIL was written, after the content was written, and at the reply to it. */
  readonly begun: number;
  readonly contentWritten: number;
  readonly answered: number;
}

export interface ClientConnection {
  /** One after the other. */
  send(envelope: string, content: readonly Buffer[]): Promise<Sent>;
  readonly isOpen: boolean;
  readonly localPort: number;
  close(): void;
}

/** Resolves after EHLO; rejects when the server does not greet or does not offer pipelining. */
export async function openConnection(options: {
  readonly port: number;
  readonly localAddress?: string;
}): Promise<ClientConnection> {
  const socket = connect({ ...options, host: "127.0.0.1", noDelay: true });
  const replies = readReplies(socket);
  const banner = await replies.next();
  if (banner.code === 220) socket.write("EHLO sender.example\r\n");
  const ehlo = banner.code === 220 ? await replies.next() : banner;
  if (ehlo.code !== 250 || !/PIPELINING/i.test(ehlo.text)) {
    socket.destroy();
    throw new Error(`No session on port ${options.port}: ${ehlo.code} ${ehlo.text.trim()}`);
  }
  return {
    get isOpen() {
      return !socket.destroyed && socket.writable;
    },
    localPort: socket.localPort ?? 0,
    send: (envelope, content) => transaction({ socket, replies }, envelope, content),
    close() {
      if (socket.writable) socket.end("QUIT\r\n");
    },
  };
}

interface Dialogue {
  readonly socket: Socket;
  readonly replies: Replies;
}

async function transaction(
  { socket, replies }: Dialogue,
  envelope: string,
  content: readonly Buffer[],
): Promise<Sent> {
  const begun = performance.now();
  socket.write(envelope);
  // MAIL, each RCPT, DATA
  const commands = envelope.split("\r\n").length - 1;
  const codes: number[] = [];
  for (let n = 0; n < commands; n += 1) codes.push((await replies.next()).code);
  const refused = codes.find((code) => code !== 250 && code !== 354);
  if (refused !== undefined) {
    socket.destroy();
    return { code: refused, begun, contentWritten: performance.now(), answered: performance.now() };
  }
  socket.cork();
  for (const part of content) socket.write(part);
  socket.uncork();
  const contentWritten = performance.now();
  const { code } = await replies.next();
  return { code, begun, contentWritten, answered: performance.now() };
}

interface Reply {
  readonly code: number;
  readonly text: string;
}

interface Replies {
  /** Code 0 once the connection is over. */
  next(): Promise<Reply>;
}

function readReplies(socket: Socket): Replies {
  const ready: Reply[] = [];
  let waiting: ((reply: Reply) => void) | undefined;
  let held = "";
  let text = "";
  const hand = (reply: Reply) => {
    if (waiting === undefined) return void ready.push(reply);
    const resolve = waiting;
    waiting = undefined;
    resolve(reply);
  };
  socket.on("data", (chunk: Buffer) => {
    held += chunk.toString("latin1");
    for (let end = held.indexOf("\r\n"); end >= 0; end = held.indexOf("\r\n")) {
      const line = held.slice(0, end + 2);
      held = held.slice(end + 2);
      text += line;
      if (line[3] === "-") continue;
      hand({ code: Number(line.slice(0, 3)), text });
      text = "";
    }
  });
  let isOver = false;
  socket.on("error", () => {});
  socket.on("close", () => {
    isOver = true;
    if (waiting !== undefined) hand({ code: 0, text: "" });
  });
  return {
    next() {
      const reply = ready.shift() ?? (isOver ? { code: 0, text: "" } : undefined);
      return reply === undefined
        ? new Promise((resolve) => {
            waiting = resolve;
          })
        : Promise.resolve(reply);
    },
  };
}
