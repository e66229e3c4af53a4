/** Next hops that no sane transport should trip over, one server each. */
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";

export interface HostileHops {
  readonly list: readonly { readonly name: string; readonly port: number }[];
  /** Messages that the dying hop took whole before it died. */
  taken(): number;
  close(): Promise<void>;
}

type Serve = (socket: Socket) => void;

const GREETING = "220 hop.example ESMTP\r\n";

/** Answers each line by its verb; "" answers nothing. */
function talk(answers: Readonly<Record<string, string>>, onContent?: Serve): Serve {
  const all: Readonly<Record<string, string>> = { CONNECT: GREETING, DATA: "354 go\r\n", ...answers };
  return (socket) => {
    let held = "";
    let inData = false;
    const take = (line: string) => {
      const verb = line.slice(0, 4).toUpperCase();
      inData = verb === "DATA" && all.DATA?.startsWith("354") === true;
      const answer = all[verb] ?? "250 ok\r\n";
      if (answer !== "" && !socket.destroyed) socket.write(answer, "latin1");
    };
    const step = (): boolean => {
      const ending = inData ? "\r\n.\r\n" : "\r\n";
      const end = held.indexOf(ending);
      if (end < 0) return false;
      const part = held.slice(0, end);
      held = held.slice(end + ending.length);
      if (!inData) take(part);
      else {
        inData = false;
        onContent?.(socket);
      }
      return !socket.destroyed;
    };
    socket.write(all.CONNECT ?? "");
    socket.on("data", (chunk: Buffer) => {
      held += chunk.toString("latin1");
      while (step());
    });
  };
}

function forever(octets: string, everyMs: number): Serve {
  return (socket) => {
    const timer = setInterval(() => {
      if (!socket.writableNeedDrain) socket.write(octets, "latin1");
    }, everyMs);
    socket.on("close", () => clearInterval(timer));
    socket.resume();
  };
}

export async function startHostileHops(): Promise<HostileHops> {
  let taken = 0;
  const kinds: Readonly<Record<string, Serve>> = {
    garbage: forever("\xff\xfe\0garbage\n\r\r\n", 5),
    tarpit: forever("2", 1000),
    endless: forever("220-more of the same, for as long as you read\r\n".repeat(500), 1),
    longline: forever("x".repeat(65_536), 1),
    endlessehlo: talk({ EHLO: "250-x\r\n".repeat(200_000) }),
    splitting: talk({ MAIL: "250 ok\r\n250 ok\r\n250 ok\r\n250 2.0.0 taken\r\n" }),
    noreply: talk({ MAIL: "" }),
    early: talk({ CONNECT: `${GREETING}250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n250 taken\r\n` }),
    badcodes: talk({ RCPT: "999 what\r\n", MAIL: "000 no\r\n" }),
    wrongdata: talk({ DATA: "250 taken already\r\n" }),
    refuser: talk({ CONNECT: "554 go away\r\n" }),
    closer: (socket) => void socket.end(),
    resetter: (socket) => void socket.resetAndDestroy(),
    dying: talk({}, (socket) => {
      taken += 1;
      socket.destroy();
    }),
  };
  const sockets = new Set<Socket>();
  const servers: Server[] = [];
  const list = await Promise.all(
    Object.entries(kinds).map(async ([name, serve]) => {
      const server = createServer((socket) => {
        sockets.add(socket);
        socket.on("close", () => sockets.delete(socket)).on("error", () => {});
        serve(socket);
      });
      servers.push(server);
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      return { name, port: (server.address() as AddressInfo).port };
    }),
  );
  return {
    list,
    taken: () => taken,
    async close() {
      for (const socket of sockets) socket.destroy();
      await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
    },
  };
}
