/** Content as a host can take it: 8-bit and UTF-8 content is converted where the host offers no extension for it. */
import type { HeaderField } from "../../mail/header.ts";
import type { Body, Message } from "../../mail/message.ts";

/** The host can't have the message as it is; `elsewhere`: another host may. */
export interface ContentRefusal {
  readonly kind: "refused";
  readonly status: string;
  readonly text: string;
  readonly elsewhere: boolean;
}

export interface FittedContent {
  readonly kind: "fitted";
  readonly header: readonly HeaderField[];
  readonly body: Uint8Array | AsyncIterable<Uint8Array>;
  readonly bodyType: "7BIT" | "8BITMIME";
}

interface ContentJob {
  readonly message: Message;
  readBody(body: Body): AsyncIterable<Uint8Array>;
}

/** Leaves the content alone where it can. */
export async function fitContent(
  { message, readBody }: ContentJob,
  extensions: ReadonlyMap<string, string>,
): Promise<FittedContent | ContentRefusal> {
  const { body, envelope, header } = message;
  const octets = body.kind === "inline" ? body.bytes : readBody(body);
  if (envelope.bodyType === "7BIT") return { kind: "fitted", header, body: octets, bodyType: "7BIT" };
  if (envelope.bodyType === "8BITMIME" && extensions.has("8BITMIME")) {
    return { kind: "fitted", header, body: octets, bodyType: "8BITMIME" };
  }
  return {
    kind: "refused",
    status: "5.6.3",
    text: "The next hop does not take 8-bit content",
    elsewhere: true,
  };
}
