/** An SMTP sink that takes everything and remembers which internal id each message carries; nothing else of it. */
import { type AddressInfo, createServer, type Socket } from "node:net";

export interface CountingSink {
  readonly port: number;
  /** Internal id (of the first Received field) -> times received. */
  readonly seen: ReadonlyMap<string, number>;
  total(): number;
  close(): Promise<void>;
}

/** `onContent` sees each message as latin1 octets. */
export async function startCountingSink(onContent?: (content: string) => void): Promise<CountingSink> {
  const seen = new Map<string, number>();
  const sockets = new Set<Socket>();
  let total = 0;
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => {});
    serve(socket, (content) => {
      total += 1;
      const id = /\bid ([0-9A-Z]{15,})/.exec(content)?.[1] ?? "";
      seen.set(id, (seen.get(id) ?? 0) + 1);
      onContent?.(content);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    seen,
    total: () => total,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function serve(socket: Socket, onMessage: (content: string) => void): void {
  let held = "";
  let inData = false;
  /** Cuts one line or one content off what is held; undefined: not whole yet. */
  const next = (ending: string) => {
    const end = held.indexOf(ending);
    if (end < 0) return undefined;
    const part = held.slice(0, end);
    held = held.slice(end + ending.length);
    return part;
  };
  const step = (): string | undefined => {
    if (inData) {
      const content = next("\r\n.\r\n");
      if (content === undefined) return undefined;
      inData = false;
      onMessage(content);
      return "250 2.0.0 taken\r\n";
    }
    const verb = next("\r\n")?.slice(0, 4).toUpperCase();
    inData = verb === "DATA";
    return verb === undefined ? undefined : (REPLIES[verb] ?? "250 2.0.0 ok\r\n");
  };
  socket.write("220 sink.example ESMTP\r\n");
  socket.on("data", (chunk: Buffer) => {
    held += chunk.toString("latin1");
    let answers = "";
    for (let answer = step(); answer !== undefined; answer = step()) answers += answer;
    if (answers.endsWith(REPLIES.QUIT)) socket.end(answers);
    else if (answers !== "") socket.write(answers);
  });
}

const REPLIES: Readonly<Record<string, string>> & { readonly QUIT: string } = {
  EHLO: "250-sink.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250 SIZE 0\r\n",
  DATA: "354 go on\r\n",
  QUIT: "221 2.0.0 bye\r\n",
};
