/**
 * Drop: final delivery into a folder, one .eml file a message (Exchange's drop directory, in its replay format).
 *
 * The file begins with X-Sender and one X-Receiver for each recipient. It is written beside its place, fsynced and
 * renamed, so that a reader never sees half a message. A message that is delivered twice has one file.
 *
 * @module
 */
import { mkdir, open, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { formatAddress, formatPath } from "../../mail/address.ts";
import { formatHeader } from "../../mail/header.ts";
import type { Body, Message, Recipient } from "../../mail/message.ts";
import { clean } from "./outcome.ts";
import { xtext } from "./prepare.ts";
import { withReturnPath } from "./return-path.ts";

export interface DropJob {
  readonly message: Message;
  readonly recipients: readonly Recipient[];
  /** Folder to write into; made if it is missing. */
  readonly folder: string;
  readBody(body: Body): AsyncIterable<Uint8Array>;
}

export type DropResult =
  | { readonly ok: true; readonly name: string }
  | { readonly ok: false; readonly status: string; readonly text: string };

/** Writes the file; durable when it resolves. */
export async function dropMessage(job: DropJob): Promise<DropResult> {
  const name = `${job.message.id.replace(/[^A-Za-z0-9._-]/g, "_")}.eml`;
  const temporary = join(job.folder, `.${name}.tmp`);
  try {
    await mkdir(job.folder, { recursive: true });
    await writeDurably(temporary, job);
    await rename(temporary, join(job.folder, name));
    await syncFolder(job.folder);
    return { ok: true, name };
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    const { code = "" } = error as NodeJS.ErrnoException;
    // RFC 3463 §3.4: 3.1 mail system full, 3.0 anything else of ours.
    const status = code === "ENOSPC" || code === "EDQUOT" ? "4.3.1" : "4.3.0";
    return { ok: false, status, text: clean(`Cannot write to the drop folder: ${code || "error"}`) };
  }
}

async function writeDurably(path: string, job: DropJob): Promise<void> {
  const file = await open(path, "w", 0o640);
  try {
    // Not write(): a disk that is nearly full takes a part and calls it success.
    await file.writeFile(Buffer.from(dropHeader(job), "latin1"));
    for await (const chunk of job.readBody(job.message.body)) await file.writeFile(chunk);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Renames are durable once their folder is. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function dropHeader({ message, recipients }: DropJob): string {
  const { envelope } = message;
  const sender = [`X-Sender: <${formatPath(envelope.sender)}>`];
  if (envelope.bodyType !== "7BIT") sender.push(`BODY=${envelope.bodyType}`);
  if (envelope.ret !== undefined) sender.push(`RET=${envelope.ret}`);
  if (envelope.envid !== undefined) sender.push(`ENVID=${xtext(envelope.envid)}`);
  const lines = [sender.join(" "), ...recipients.map(receiverLine)];
  const injected = lines.map((line) => `${Buffer.from(line).toString("latin1")}\r\n`).join("");
  return `${injected}${formatHeader(withReturnPath(message))}\r\n`;
}

function receiverLine({ address, notify, orcpt }: Recipient): string {
  const parts = [`X-Receiver: <${formatAddress(address)}>`];
  if (notify !== undefined) parts.push(`NOTIFY=${notify.join(",")}`);
  if (orcpt !== undefined) parts.push(`ORCPT=${xtext(orcpt)}`);
  return parts.join(" ");
}
