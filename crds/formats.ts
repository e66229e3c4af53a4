/** String formats of fields, checked by the parsers that the transport itself uses (mail/). Pure. */
import { z } from "zod";
import { parseAddress } from "../mail/address.ts";
import { toALabel } from "../mail/domain.ts";
import { parseIp, parseIpRange } from "../mail/ip-range.ts";

const format = (max: number, valid: (text: string) => boolean, error: string) =>
  z
    .string()
    .max(max)
    .refine((text) => valid(text), { error });

export const IpRangeText = format(
  100,
  (text) => parseIpRange(text) !== undefined,
  "write an address, a CIDR or a first-last range, such as 192.0.2.0/24",
);

export const CidrText = format(
  100,
  (text) => text.includes("/") && parseIpRange(text) !== undefined,
  "write a CIDR, such as 192.0.2.0/24",
);

export const IpText = format(
  64,
  (text) => parseIp(text) !== undefined,
  "write an IP address, such as 192.0.2.1",
);

export const AddressText = format(
  320,
  (text) => parseAddress(text) !== undefined,
  "write an address, such as ann@contoso.example",
);

/** An address, *@domain, or *. */
export const AddressPattern = format(
  320,
  (text) => text === "*" || parseAddress(text.startsWith("*@") ? `x${text.slice(1)}` : text) !== undefined,
  "write an address, *@contoso.example, or *",
);

export const DomainText = format(
  255,
  (text) => toALabel(text) !== undefined,
  "write a domain, such as contoso.example",
);

/** A domain, or *.domain. A wildcard anywhere else is a fault. */
export const DomainPattern = format(
  255,
  (text) => normalizeDomainPattern(text) !== undefined,
  "write a domain, such as contoso.example or *.contoso.example; * stands only for the labels in front",
);

/** A domain, *.domain, or * for all others. */
export const AddressSpaceDomain = format(
  255,
  (text) => text === "*" || normalizeDomainPattern(text) !== undefined,
  "write a domain, such as contoso.example, *.contoso.example or *; * stands only for the labels in front",
);

export const HostText = format(
  255,
  (text) => toALabel(text) !== undefined || parseIp(text) !== undefined,
  "write a host name or an IP address",
);

/** RFC 5322 §3.6.8 field name. */
export const HeaderName = z
  .string()
  .max(256)
  .regex(/^[!-9;-~]+$/, "write a header field name, such as Subject");

/** Key of a Kubernetes label or annotation: name, or prefix/name. */
export const LabelKey = z
  .string()
  .max(317)
  .regex(
    /^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/,
    "write a label key, such as app or example.com/app",
  );

/** Value of a Kubernetes label. */
export const LabelValue = z
  .string()
  .max(63)
  .regex(
    /^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/,
    "use letters, digits, '-', '_' and '.', at most 63",
  );

/** Text that goes on the wire or into one header field: a line end in it would start a line of its own. */
export const OneLine = z
  .string()
  .regex(/^[^\x00-\x1f\x7f]*$/, "keep it on one line, without control characters");

/** Lower-case A-label form of a domain or *.domain; undefined: neither. */
export function normalizeDomainPattern(text: string): string | undefined {
  if (!text.startsWith("*.")) return toALabel(text);
  const parent = toALabel(text.slice(2));
  return parent === undefined ? undefined : `*.${parent}`;
}
