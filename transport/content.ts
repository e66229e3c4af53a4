/** Content helpers of the glue: whole bodies in and out of the queue, for the few steps that must rewrite one. */
import type { Body } from "../mail/message.ts";
import type { Queue } from "./queue/mod.ts";

/** Characters of text that rules and agents look at. */
export const MAX_TEXT = 1_048_576;

/** All octets of a body, in memory once. */
export async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts);
}

/** All octets of a body; those of a small one are in memory already. */
export async function readWhole(queue: Queue, body: Body): Promise<Uint8Array> {
  return body.kind === "inline" ? body.bytes : await collect(queue.readBody(body));
}

/** Octets of a body made here that may stay in memory until a row must name it. */
const MAX_IN_MEMORY = 1_048_576;

/** A body for an item that the queue is given next: it puts it on disk when the item's row is written, if ever. */
export async function bodyOf(queue: Queue, bytes: Uint8Array): Promise<Body> {
  if (bytes.length <= MAX_IN_MEMORY) return { kind: "inline", bytes, size: bytes.length };
  return await writeWhole(queue, bytes);
}

/** Stores octets as a body: inline or as a file, as the queue decides. */
export async function writeWhole(queue: Queue, bytes: Uint8Array): Promise<Body> {
  const writer = queue.writeBody();
  await writer.write(bytes);
  return writer.finish();
}
