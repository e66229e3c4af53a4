/**
 * Child processes and folders that end with this process, however it ends.
 *
 *   const child = guarded(spawn(...));   // SIGKILLed by its pid when this process is gone and it is not
 *   guardFolder("/tmp/x");               // and then removed
 *
 * One shell for each process that asks, in a session of its own, so that Ctrl-C does not reach it. It reads what to
 * guard from a pipe: the end of the pipe is the end of us.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";

let guard: ChildProcess | undefined;

export function guarded<Child extends ChildProcess>(child: Child): Child {
  const { pid } = child;
  if (pid === undefined) return child;
  tell(`begun ${pid}`);
  child.once("exit", () => tell(`ended ${pid}`));
  return child;
}

export function guardFolder(path: string): void {
  tell(`folder ${path}`);
}

function tell(line: string): void {
  guard ??= startGuard();
  guard.stdin?.write(`${line}\n`);
}

function startGuard(): ChildProcess {
  const child = spawn("sh", ["-c", GUARD], { stdio: ["pipe", "ignore", "ignore"], detached: true });
  child.stdin.on("error", () => {});
  child.unref();
  // A pipe is a socket here and would keep this process alive.
  (child.stdin as unknown as { unref(): void }).unref();
  return child;
}

const GUARD = `
pids=' '
folders=
while read -r verb value; do
  case $verb in
    begun) pids="$pids$value " ;;
    ended) pids="\${pids%%" $value "*} \${pids#*" $value "}" ;;
    folder) folders="$folders$value
" ;;
  esac
done
for pid in $pids; do kill -KILL "$pid"; done
printf '%s' "$folders" | while read -r folder; do rm -rf "$folder"; done
`;
