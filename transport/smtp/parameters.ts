/**
 * Parameters of MAIL and RCPT, checked against what EHLO offered.
 *
 * Errors: a Reply. 555 for a parameter that was not offered (RFC 5321 §4.1.1.11), 501 for a bad value or a repetition.
 * Pure.
 *
 * @module
 */
import type { Envelope, Notify, Recipient } from "../../mail/message.ts";
import type { Reply } from "../../mail/reply.ts";
import { isUtf8Path, type Parameter } from "./command.ts";
import type { Offer } from "./ehlo.ts";
import { BAD_ARGUMENTS, MESSAGE_TOO_BIG, REQUIRETLS_NEEDS_TLS, UNKNOWN_PARAMETER } from "./replies.ts";

export interface MailParameters extends Pick<Envelope, "bodyType" | "smtpUtf8" | "requireTls"> {
  readonly ret?: Envelope["ret"];
  readonly envid?: string | undefined;
  readonly declaredSize?: number | undefined;
}

export type RcptParameters = Pick<Recipient, "notify" | "orcpt">;

/** What one parameter adds, or the reply that refuses it. */
type Read<Result> = (value: string | undefined, offer: Offer) => Partial<Result> | Reply;

const MAIL_PARAMETERS: Readonly<Record<string, Read<MailParameters>>> = {
  SIZE: readSize,
  BODY: readBody,
  SMTPUTF8: (value, offer) => flag(value, offer.smtpUtf8, { smtpUtf8: true }),
  REQUIRETLS: readRequireTls,
  RET: readRet,
  ENVID: readEnvid,
  AUTH: readAuth,
};

const RCPT_PARAMETERS: Readonly<Record<string, Read<RcptParameters>>> = {
  NOTIFY: readNotify,
  ORCPT: readOrcpt,
};

/** A MAIL without parameters. */
export const NO_MAIL_PARAMETERS: MailParameters = { bodyType: "7BIT", smtpUtf8: false, requireTls: false };
export const NO_RCPT_PARAMETERS: RcptParameters = {};

export function readMailParameters(
  parameters: readonly Parameter[],
  offer: Offer,
): { readonly value: MailParameters } | { readonly refusal: Reply } {
  return readAll(parameters, offer, { known: MAIL_PARAMETERS, initial: NO_MAIL_PARAMETERS });
}

/** `smtpUtf8` of the transaction lets ORCPT hold UTF-8 (RFC 6533 §3). */
export function readRcptParameters(
  parameters: readonly Parameter[],
  offer: Offer,
): { readonly value: RcptParameters } | { readonly refusal: Reply } {
  return readAll(parameters, offer, { known: RCPT_PARAMETERS, initial: NO_RCPT_PARAMETERS });
}

function readAll<Result extends object>(
  parameters: readonly Parameter[],
  offer: Offer,
  { known, initial }: { known: Readonly<Record<string, Read<Result>>>; initial: Result },
): { readonly value: Result } | { readonly refusal: Reply } {
  const seen = new Set<string>();
  let value = initial;
  for (const { keyword, value: text } of parameters) {
    const read = Object.hasOwn(known, keyword) && offer.extended ? known[keyword] : undefined;
    if (read === undefined) return { refusal: UNKNOWN_PARAMETER };
    if (seen.has(keyword)) return { refusal: BAD_ARGUMENTS };
    seen.add(keyword);
    const result = read(text, offer);
    if ("code" in result) return { refusal: result };
    value = { ...value, ...result };
  }
  return { value };
}

function flag(value: string | undefined, offered: boolean, result: Partial<MailParameters>) {
  if (!offered) return UNKNOWN_PARAMETER;
  return value === undefined ? result : BAD_ARGUMENTS;
}

// RFC 1870 §4: up to 20 digits.
function readSize(value: string | undefined, offer: Offer): Partial<MailParameters> | Reply {
  if (value === undefined || !/^\d{1,20}$/.test(value)) return BAD_ARGUMENTS;
  const declaredSize = Number(value);
  return declaredSize > offer.maxMessageSize ? MESSAGE_TOO_BIG : { declaredSize };
}

function readBody(value: string | undefined, offer: Offer): Partial<MailParameters> | Reply {
  const bodyType = value?.toUpperCase();
  if (!offer.eightBitMime && !offer.binaryMime) return UNKNOWN_PARAMETER;
  if (bodyType === "7BIT") return { bodyType };
  if (bodyType === "8BITMIME") return offer.eightBitMime ? { bodyType } : UNKNOWN_PARAMETER;
  if (bodyType === "BINARYMIME") return offer.binaryMime ? { bodyType } : UNKNOWN_PARAMETER;
  return BAD_ARGUMENTS;
}

function readRequireTls(value: string | undefined, offer: Offer): Partial<MailParameters> | Reply {
  return offer.requireTls ? flag(value, true, { requireTls: true }) : REQUIRETLS_NEEDS_TLS;
}

// RFC 3461 §4.3.
function readRet(value: string | undefined, offer: Offer): Partial<MailParameters> | Reply {
  if (!offer.dsn) return UNKNOWN_PARAMETER;
  const ret = value?.toUpperCase();
  return ret === "FULL" || ret === "HDRS" ? { ret } : BAD_ARGUMENTS;
}

// RFC 3461 §4.4: at most 100 characters, printable once decoded.
function readEnvid(value: string | undefined, offer: Offer): Partial<MailParameters> | Reply {
  if (!offer.dsn) return UNKNOWN_PARAMETER;
  const envid = value === undefined || value.length > 100 ? undefined : decodeXtext(value);
  return envid === undefined || isUtf8Path(envid) ? BAD_ARGUMENTS : { envid };
}

// RFC 4954 §5: a server that does not trust the client acts as if AUTH=<> had been given, as this one always does.
function readAuth(value: string | undefined, offer: Offer): Partial<MailParameters> | Reply {
  if (!offer.auth) return UNKNOWN_PARAMETER;
  return value !== undefined && (value === "<>" || decodeXtext(value) !== undefined) ? {} : BAD_ARGUMENTS;
}

// RFC 3461 §4.1: NEVER stands alone.
function readNotify(value: string | undefined, offer: Offer): Partial<RcptParameters> | Reply {
  if (!offer.dsn) return UNKNOWN_PARAMETER;
  const notify = (value ?? "").toUpperCase().split(",");
  if (!notify.every(isNotify) || new Set(notify).size !== notify.length) return BAD_ARGUMENTS;
  return notify.length > 1 && notify.includes("NEVER") ? BAD_ARGUMENTS : { notify };
}

function isNotify(text: string): text is Notify {
  return text === "NEVER" || text === "SUCCESS" || text === "FAILURE" || text === "DELAY";
}

// RFC 3461 §4.2: addr-type ";" xtext, at most 500 characters.
function readOrcpt(value: string | undefined, offer: Offer): Partial<RcptParameters> | Reply {
  if (!offer.dsn) return UNKNOWN_PARAMETER;
  const [, type, address = ""] = /^([A-Za-z0-9-]+);(.+)$/.exec(value ?? "") ?? [];
  if (type === undefined || (value ?? "").length > 500) return BAD_ARGUMENTS;
  const decoded = decodeXtext(address);
  if (decoded === undefined || (isUtf8Path(decoded) && !offer.smtpUtf8)) return BAD_ARGUMENTS;
  return { orcpt: `${type};${decoded}` };
}

/** RFC 3461 §4: "+" and two hex digits is an octet. undefined: not xtext, or a control character hides in it. */
function decodeXtext(text: string): string | undefined {
  if (/\+(?![0-9A-Fa-f]{2})|=/.test(text)) return undefined;
  const decoded = text.replace(/\+([0-9A-Fa-f]{2})/g, (_, hex) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return /[\x00-\x1f\x7f-\x9f]/.test(decoded) ? undefined : decoded;
}
