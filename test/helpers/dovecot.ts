/**
 * Dovecot as a mailbox server: LMTP on a loopback port, mailboxes as Maildir in a temporary folder.
 *
 *   const dovecot = await startDovecot(["ann@contoso.example"]);   // who has a mailbox; others are refused 550
 *   dovecot.mails("ann@contoso.example"); await dovecot.stop();
 *
 * Needs root and Dovecot 2.3 (debian.ts).
 *
 * @module
 */
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { greeted, temporaryFolder } from "../../bench/processes.ts";
import { freePort } from "./free-port.ts";
import { guard } from "./guard.ts";
import { run } from "./run.ts";

export interface Dovecot {
  readonly port: number;
  /** Messages in the inbox of a user, as they lie in the Maildir. */
  mails(user: string): string[];
  stop(): Promise<void>;
}

/** Owns the mailboxes: "nobody" on every Debian. */
const OWNER = 65534;

export async function startDovecot(users: readonly string[]): Promise<Dovecot> {
  const port = await freePort();
  const folder = temporaryFolder();
  chmodSync(folder.path, 0o755);
  const mail = join(folder.path, "mail");
  mkdirSync(mail);
  chownSync(mail, OWNER, OWNER);
  const lines = users.map((user) => `${user}:{PLAIN}unused:${OWNER}:${OWNER}::${mail}/${user}::\n`);
  folder.write("users", lines.join(""));
  const configuration = folder.write("dovecot.conf", dovecotConf(folder.path, port));
  const stop = guard({ pidFile: join(folder.path, "run/master.pid"), folder: folder.path });
  // The server keeps what it is given as stdout: a pipe would never end.
  const log = folder.write("log", "");
  await run("sh", ["-c", 'exec dovecot -c "$1" >>"$2" 2>&1', "sh", configuration, log]);
  await greeted(port).catch(async (cause: unknown) => {
    const said = readFileSync(log, "utf8");
    await stop();
    throw new Error(`Dovecot does not greet: ${said}`, { cause });
  });
  return {
    port,
    mails(user) {
      const inbox = join(mail, user, "new");
      return list(inbox).map((name) => readFileSync(join(inbox, name), "latin1"));
    },
    stop,
  };
}

function list(directory: string): string[] {
  try {
    return readdirSync(directory).sort();
  } catch {
    return [];
  }
}

function dovecotConf(folder: string, port: number): string {
  return `
base_dir = ${folder}/run
state_dir = ${folder}/run
log_path = ${folder}/log
protocols = lmtp
listen = 127.0.0.1
ssl = no
first_valid_uid = 1
auth_username_format = %Lu
mail_location = maildir:${folder}/mail/%u
postmaster_address = postmaster@contoso.example
passdb {
  driver = passwd-file
  args = ${folder}/users
}
userdb {
  driver = passwd-file
  args = ${folder}/users
}
service lmtp {
  inet_listener lmtp {
    address = 127.0.0.1
    port = ${port}
  }
}
`;
}
