/**
 * Messages a second through SMTP sessions into a sink that forgets them, with the clients in processes of their own.
 *
 *   node bench/smtp-session.ts [seconds]
 *
 * Rows: one kept connection; 50 kept connections; 50 clients with one message a connection. 4 KiB messages.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { reply } from "../mail/reply.ts";
import { startRig } from "../test/helpers/session-rig.ts";

const SECONDS = Number(process.argv[2] ?? 5);
const QUEUED = { reply: reply(250, "2.6.0", "Queued") };
const BODY = `Subject: x\r\n\r\n${`${"x".repeat(76)}\r\n`.repeat(52)}.\r\n`;

if (process.send === undefined) await serve();
else process.once("message", (message) => void send(message as Load));

interface Load {
  readonly port: number;
  readonly connections: number;
  readonly isKept: boolean;
}

async function serve(): Promise<void> {
  let messages = 0;
  const sink = {
    write: () => undefined,
    end() {
      messages++;
      return Promise.resolve(QUEUED);
    },
    abort: () => undefined,
  };
  const rig = await startRig({ handler: { onData: () => sink } });
  for (const load of [
    { connections: 1, isKept: true },
    { connections: 50, isKept: true },
    { connections: 50, isKept: false },
  ]) {
    const child = fork(import.meta.filename);
    child.send({ port: rig.port, ...load });
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const cpu = process.cpuUsage();
    messages = 0;
    await new Promise((resolve) => setTimeout(resolve, SECONDS * 1000));
    const { user, system } = process.cpuUsage(cpu);
    const perSecond = Math.round(messages / SECONDS);
    const cpuMicroseconds = Math.round((user + system) / Math.max(messages, 1));
    console.log(JSON.stringify({ ...load, perSecond, cpuMicroseconds }));
    child.kill();
    await once(child, "exit");
  }
  await rig.stop();
}

async function send(load: Load): Promise<void> {
  await Promise.all(Array.from({ length: load.connections }, () => client(load)));
}

async function client({ port, isKept }: Load): Promise<void> {
  for (;;) {
    const socket = connect(port, "127.0.0.1").setNoDelay(true);
    const replies = reader(socket);
    await replies("220");
    socket.write("EHLO bench\r\n");
    await replies("250 ");
    do {
      socket.write("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n");
      await replies("354");
      socket.write(BODY);
      await replies("250 2.6.0");
    } while (isKept);
    socket.resetAndDestroy(); // a FIN would leave the port in TIME_WAIT, and the ports would run out
  }
}

/** Resolves when the text has come. */
function reader(socket: Socket): (text: string) => Promise<void> {
  let seen = "";
  let wake = () => {};
  socket.on("data", (chunk) => {
    seen += chunk.toString("latin1");
    wake();
  });
  return async (text) => {
    while (!seen.includes(text)) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    seen = "";
  };
}
