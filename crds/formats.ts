/**
 * String formats of fields, checked by the parsers that the transport itself uses (mail/), and by the API server as
 * near to them as CEL and RE2 come. Pure.
 *
 * @module
 */
import { z } from "zod";
import { parseAddress } from "../mail/address.ts";
import { toALabel } from "../mail/domain.ts";
import { parseIp, parseIpRange } from "../mail/ip-range.ts";
import * as patterns from "./format-patterns.ts";
import { isFirstLast } from "./range-rules.ts";
import { celText, matching, type TextCheck, withFormat, withRules } from "./validation.ts";

interface Format {
  readonly max: number;
  readonly message: string;
  valid(text: string): boolean;
  readonly checks: readonly TextCheck[];
}

const format = ({ max, message, valid, checks }: Format): z.ZodString =>
  withFormat(
    z
      .string()
      .max(max)
      .refine((text) => valid(text), { error: message }),
    { message, checks },
  );

export const IpRangeText = format({
  max: 80,
  message: "write an address, a CIDR or a first-last range, such as 192.0.2.0/24",
  valid: isPlainRange,
  checks: [
    { rule: `isIP(self) || isCIDR(self) || (${isFirstLast("self")})`, cost: 12_000 },
    { rule: "isIP(self) || isCIDR(self) || self.matches('^[0-9a-fA-F:.]+-[0-9a-fA-F:.]+$')", cost: 400 },
    { pattern: "^[0-9a-fA-F:.]+(/[0-9]{1,3}|-[0-9a-fA-F:.]+)?$" },
  ],
});

export const CidrText = format({
  max: 50,
  message: "write a CIDR, such as 192.0.2.0/24",
  valid: (text) => text.includes("/") && isPlainRange(text),
  checks: [{ rule: "isCIDR(self)", cost: 10 }],
});

export const IpText = format({
  max: 64,
  message: "write an IP address, such as 192.0.2.1",
  valid: isPlainIp,
  checks: [{ rule: "isIP(self)", cost: 10 }],
});

export const AddressText = format({
  max: 320,
  message: "write an address, such as ann@contoso.example",
  valid: (text) => parseAddress(text) !== undefined,
  checks: [{ pattern: patterns.ADDRESS }],
});

/** An address, *@domain, or *. */
export const AddressPattern = format({
  max: 320,
  message: "write an address, *@contoso.example, or *",
  valid: (text) =>
    text === "*" || parseAddress(text.startsWith("*@") ? `x${text.slice(1)}` : text) !== undefined,
  checks: [{ pattern: patterns.ADDRESS_PATTERN }],
});

export const DomainText = format({
  max: 255,
  message: "write a domain, such as contoso.example",
  valid: (text) => toALabel(text) !== undefined,
  checks: [{ pattern: patterns.DOMAIN }],
});

const STAR_IN_FRONT = "* stands only for the labels in front";

/** A domain, or *.domain. A wildcard anywhere else is a fault. */
export const DomainPattern = format({
  max: 255,
  message: `write a domain, such as contoso.example or *.contoso.example; ${STAR_IN_FRONT}`,
  valid: (text) => normalizeDomainPattern(text) !== undefined,
  checks: [{ pattern: patterns.DOMAIN_PATTERN }],
});

/** A domain, *.domain, or * for all others. */
export const AddressSpaceDomain = format({
  max: 255,
  message: `write a domain, such as contoso.example, *.contoso.example or *; ${STAR_IN_FRONT}`,
  valid: (text) => text === "*" || normalizeDomainPattern(text) !== undefined,
  checks: [{ pattern: patterns.ADDRESS_SPACE_DOMAIN }],
});

export const HostText = format({
  max: 255,
  message: "write a host name or an IP address",
  valid: (text) => toALabel(text) !== undefined || isPlainIp(text),
  checks: [{ pattern: patterns.HOST }],
});

/** RFC 5322 §3.6.8 field name. */
export const HeaderName = matching(/^[!-9;-~]+$/, "write a header field name, such as Subject").max(256);

const LABEL_KEY = /^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const LABEL_KEY_MESSAGE = "write a label key, such as app or example.com/app";

/** Key of a Kubernetes label or annotation: name, or prefix/name. */
export const LabelKey = matching(LABEL_KEY, LABEL_KEY_MESSAGE).max(317);

/** Value of a Kubernetes label. */
export const LabelValue = matching(
  /^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/,
  "use letters, digits, '-', '_' and '.', at most 63",
).max(63);

const MAX_LABELS = 64;

/** A map of labels or annotations. */
export function labelMap(value: z.ZodType<string, string>) {
  return withRules(
    z.record(LabelKey, value).refine((map) => Object.keys(map).length <= MAX_LABELS, {
      error: `must have at most ${MAX_LABELS} entries`,
    }),
    {
      rule: `self.all(key, key.matches(${celText(LABEL_KEY.source)}))`,
      message: `keys: ${LABEL_KEY_MESSAGE}`,
    },
  )
    .meta({ maxProperties: MAX_LABELS })
    .default({});
}

/** Text that goes on the wire or into one header field: a line end in it would start a line of its own. */
export const OneLine = matching(/^[^\x00-\x1f\x7f]*$/, "keep it on one line, without control characters");

/** Lower-case A-label form of a domain or *.domain; undefined: neither. */
export function normalizeDomainPattern(text: string): string | undefined {
  if (!text.startsWith("*.")) return toALabel(text);
  const parent = toALabel(text.slice(2));
  return parent === undefined ? undefined : `*.${parent}`;
}

/** As net/netip has them: no zone, and an IPv4 address is not written as IPv6. */
function isPlainIp(text: string): boolean {
  const ip = parseIp(text);
  return ip !== undefined && !text.includes("%") && text.includes(":") === (ip.family === 6);
}

function isPlainRange(text: string): boolean {
  if (/\s|\/0[0-9]/.test(text) || parseIpRange(text) === undefined) return false;
  return text.split(/[-/]/).every((part, index) => (index > 0 && text.includes("/")) || isPlainIp(part));
}
