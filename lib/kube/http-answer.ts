/** Reads the body of an answer: whole, unzipped, at most so long. */
import type { IncomingMessage } from "node:http";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";

const unzip = promisify(gunzip);

/** The body is longer than we take. */
export class TooLargeError extends Error {}

/** Rejects with TooLargeError, or with what broke the connection. */
export async function readAnswer(response: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const tooLarge = () => new TooLargeError(`the answer is longer than ${maxBytes} octets`);
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    size += part.length;
    // Leaving the loop destroys the response and its socket.
    if (size > maxBytes) throw tooLarge();
    parts.push(part);
  }
  const body = Buffer.concat(parts);
  if (response.headers["content-encoding"] !== "gzip") return body;
  return unzip(body, { maxOutputLength: maxBytes }).catch((error) => {
    throw error.code === "ERR_BUFFER_TOO_LARGE" ? tooLarge() : error;
  });
}
