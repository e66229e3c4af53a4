/**
 * Admin socket: how the command line changes the queue of a running transport.
 *
 * A unix-domain socket in the state folder, mode 0600. One JSON request a line, one JSON answer a line:
 * {"verb":"suspend","filter":{"nextHop":"default/internet:example.com"}} -> {"ok":true,"count":3}
 * or {"ok":false,"error":"..."}. An unknown field is refused: a filter that is misspelt must not mean everything.
 *
 * @module
 */
import { chmodSync, closeSync, openSync } from "node:fs";
import { unlink } from "node:fs/promises";
import { createConnection, createServer, type Server, type Socket } from "node:net";
import { basename, dirname } from "node:path";
import { createInterface } from "node:readline";
import { type AdminAnswer, type AdminRequest, parseAdminAnswer, parseAdminRequest } from "./admin-request.ts";
import type { AdminVerbs } from "./admin-verbs.ts";
import type { QueueLog } from "./queue.ts";

const LINE_LIMIT = 4 * 1024 * 1024;
// sun_path of unix(7) holds 108 octets; longer ones are silently cut.
const PATH_LIMIT = 100;

/** Serves the verbs until the returned function is called. The folder's lock is held, so an old socket is stale. */
export async function serveAdmin(
  path: string,
  verbs: AdminVerbs,
  log: QueueLog,
): Promise<() => Promise<void>> {
  await unlink(path).catch(() => undefined);
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", (error) => log.warn({ err: error }, "admin connection failed"));
    void converse(socket, verbs, log);
  });
  await withShortPath(path, (short) => listen(server, short, path));
  return async () => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const socket of sockets) socket.destroy();
    await closed;
    await unlink(path).catch(() => undefined);
  };
}

/** Asks the running transport; undefined: none is running. */
export async function askAdmin(path: string, request: AdminRequest): Promise<number | undefined> {
  const line = await withShortPath(path, (short) => exchange(short, `${JSON.stringify(request)}\n`));
  if (line === undefined) return undefined;
  const answer = parseAdminAnswer(line);
  if (!answer.ok) throw new Error(answer.error);
  return answer.count;
}

async function converse(socket: Socket, verbs: AdminVerbs, log: QueueLog): Promise<void> {
  let received = 0;
  socket.on("data", (chunk) => {
    received += chunk.length;
    if (received > LINE_LIMIT) socket.destroy();
  });
  try {
    for await (const line of createInterface({ input: socket })) {
      received = 0;
      socket.write(`${JSON.stringify(await answer(line, verbs, log))}\n`);
    }
  } catch (error) {
    log.warn({ err: error }, "admin connection failed");
  }
}

async function answer(line: string, verbs: AdminVerbs, log: QueueLog): Promise<AdminAnswer> {
  try {
    const request = parseAdminRequest(line);
    const count = await perform(request, verbs);
    log.info({ verb: request.verb, filter: request.filter, count }, "queue changed by an administrator");
    return { ok: true, count };
  } catch (error) {
    return { ok: false, error: error instanceof Error ? error.message : String(error) };
  }
}

function perform(request: AdminRequest, verbs: AdminVerbs): Promise<number> {
  const { filter } = request;
  switch (request.verb) {
    case "suspend":
      return verbs.suspend(filter);
    case "resume":
      return verbs.resume(filter);
    case "retry":
      return verbs.retry(filter, { resubmit: request.resubmit });
    case "remove":
      return verbs.remove(filter, { withDsn: request.withDsn });
  }
}

function listen(server: Server, short: string, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(short, () => {
      chmodSync(path, 0o600);
      resolve();
    });
  });
}

/** One request, one line back; undefined: nobody listens. */
function exchange(path: string, request: string): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path, () => socket.write(request));
    let text = "";
    socket.setEncoding("utf8");
    socket.on("data", (chunk) => {
      text += chunk;
      if (text.endsWith("\n")) socket.end();
    });
    socket.on("end", () =>
      text === "" ? reject(new Error("The transport closed without an answer")) : resolve(text),
    );
    socket.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT" || error.code === "ECONNREFUSED") resolve(undefined);
      else reject(error);
    });
  });
}

/** A path too long for a socket is reached through its folder's descriptor. */
async function withShortPath<Result>(path: string, use: (path: string) => Promise<Result>): Promise<Result> {
  if (Buffer.byteLength(path) <= PATH_LIMIT) return await use(path);
  const folder = openSync(dirname(path), "r");
  try {
    return await use(`/proc/self/fd/${folder}/${basename(path)}`);
  } finally {
    closeSync(folder);
  }
}
