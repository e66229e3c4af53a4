/**
 * The end of a server of others: a guard of its own process waits until `stop()` or until this process is gone, however
 * it went, then ends the server by its pid and removes its folder.
 *
 *   const stop = guard({ pidFile, folder }); ...start the server...; await stop();
 */
import { spawn } from "node:child_process";

export interface Guarded {
  /** Written by the server; read at its end. */
  readonly pidFile: string;
  readonly folder: string;
}

export function guard({ pidFile, folder }: Guarded): () => Promise<void> {
  // A session of its own, so that Ctrl-C in the terminal does not reach it.
  const child = spawn("sh", ["-c", GUARD, "sh", pidFile, folder], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  child.stdin.on("error", () => {});
  child.unref();
  return async () => {
    child.ref();
    child.stdin.end();
    await ended;
  };
}

/** What ignores SIGTERM for 10 s is killed with its process group. */
const GUARD = `
cat >/dev/null
pid=$(tr -cd 0-9 <"$1")
if [ "\${pid:-0}" -gt 1 ]; then
  kill -TERM "$pid"
  for n in $(seq 200); do kill -0 "$pid" || break; sleep 0.05; done
  kill -0 "$pid" && kill -KILL -- "-$pid"
fi
rm -rf "$2"
`;
