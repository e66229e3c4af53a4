/** Return-Path, added at final delivery only (RFC 5321 §4.4): LMTP and drop folders. Pure. */
import { formatPath } from "../../mail/address.ts";
import { addFirst, type HeaderField, removeFields } from "../../mail/header.ts";
import type { Message } from "../../mail/message.ts";

/** The header with one Return-Path, first. */
export function withReturnPath({ header, envelope }: Pick<Message, "header" | "envelope">): HeaderField[] {
  const path = Buffer.from(formatPath(envelope.sender)).toString("latin1");
  const field = { name: "Return-Path", raw: `Return-Path: <${path}>\r\n` };
  return addFirst(removeFields(header, "Return-Path"), field);
}
