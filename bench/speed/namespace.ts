/**
 * Runs a server of unpacked Debian packages as if they were installed: mounts and processes of its own, in which /usr has
 * the packages, /etc its configuration and users, and the paths that are compiled into it lead into a temporary folder.
 * The machine outside sees none of it. Whoever ends its first process ends them all.
 *
 * Needs root and Linux with overlay mounts.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { guarded, guardFolder } from "../../test/helpers/process-guard.ts";
import { run } from "../../test/helpers/run.ts";
import { greeted, temporaryFolder } from "../processes.ts";
import { cpuGroup } from "./cpu-group.ts";
import type { RunningPeer } from "./peer.ts";
import { processesOf } from "./processes-of.ts";

export interface Namespaced {
  /** Of unpacked packages. */
  readonly packages: string;
  readonly port: number;
  /** Their ids must be free in the machine's files. */
  readonly users: readonly { readonly name: string; readonly id: number }[];
  /** Path below /etc -> text. */
  readonly etc: Readonly<Record<string, string>>;
  /** Shell commands as root, before the server; $FOLDER is the temporary one, on the disk. */
  readonly prepare: string;
  /** The server, in the foreground. */
  readonly command: string;
}

/** Why there can be none here. */
export async function namespaceObstacle(): Promise<string | undefined> {
  const folder = temporaryFolder();
  const { status, output } = await run("unshare", [...UNSHARE, "sh", "-ec", MOUNTS, "sh", folder.path, "/"]);
  folder.remove();
  return status === 0 ? undefined : `no mounts of its own: ${output.trim().split("\n").at(-1)}`;
}

/** Resolves once it greets; leaves nothing behind when it does not. `$FOLDER` in texts of `etc` is the temporary folder. */
export async function startNamespaced(options: Namespaced): Promise<RunningPeer> {
  const folder = temporaryFolder();
  guardFolder(folder.path);
  for (const [name, text] of Object.entries(options.etc))
    folder.write(join("etc", name), text.replaceAll("$FOLDER", folder.path));
  const script = [MOUNTS, ...options.users.map(addUser), options.prepare, `${options.command}\nexit $?`].join(
    "\n",
  );
  const log = join(folder.path, "log");
  const child = guarded(
    spawn(
      "unshare",
      [...UNSHARE, "sh", "-ec", `exec >"$1/log" 2>&1\n${script}`, "sh", folder.path, options.packages],
      {
        stdio: "ignore",
      },
    ),
  );
  writeFileSync(log, "");
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const group = cpuGroup();
  const pids = () => processesOf(child.pid ?? 0);
  const stop = async () => {
    child.kill("SIGKILL");
    await ended;
    group.remove();
    folder.remove();
  };
  await greeted(options.port).catch(async (cause: unknown) => {
    const { output } = await run("tail", ["-n", "5", log]);
    await stop();
    throw new Error(`Does not greet: ${output.trim()}`, { cause });
  });
  group.add(pids());
  return { port: options.port, pids, cpuSeconds: group.seconds, stop };
}

/**
 * The shell stays the first process, for it dies with us: what is set-uid, or changes its user, loses the signal that
 * --kill-child asks for.
 */
const UNSHARE = ["--mount", "--pid", "--fork", "--kill-child"];

function addUser({ name, id }: { readonly name: string; readonly id: number }): string {
  return `echo '${name}:x:${id}:${id}::/nonexistent:/usr/sbin/nologin' >>/etc/passwd; echo '${name}:x:${id}:' >>/etc/group`;
}

/** Names come from /etc/hosts alone; what a server asks of the DNS is refused at once. */
const MOUNTS = `
export FOLDER="$1"
mount --make-rprivate /
mkdir -p "$FOLDER/etc" "$FOLDER/changes"
mount -t tmpfs tmpfs "$FOLDER/changes"
mkdir "$FOLDER/changes/upper" "$FOLDER/changes/work"
mount -t overlay overlay -o "lowerdir=$FOLDER/etc:/etc,upperdir=$FOLDER/changes/upper,workdir=$FOLDER/changes/work" /etc
rm -f /etc/resolv.conf
printf 'lookup file\\nnameserver 127.0.0.1\\n' >/etc/resolv.conf
if [ -d "$2/usr" ] && [ "$2" != / ]; then mount -t overlay overlay -o "lowerdir=$2/usr:/usr" /usr; fi
for path in /run /var/spool /var/lib; do mount -t tmpfs -o mode=755 tmpfs $path; done
`;
