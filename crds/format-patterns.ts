/**
 * RE2 patterns of addresses and domains, as near to mail/ as a pattern comes; JavaScript cannot run all of them.
 *
 * They let through what only the parsers see: lengths in octets, and names that IDNA refuses.
 */
const UTF8 = "\\x{80}-\\x{10FFFF}";

/** A label of ASCII, or one that IDNA turns into such. */
const LABEL = `([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?|[A-Za-z0-9_-]*[${UTF8}][A-Za-z0-9_${UTF8}-]*)`;
const NAME = `${LABEL}(\\.${LABEL})*\\.?`;
/** RFC 5321 §4.1.3. */
const LITERAL = "\\[([0-9.]+|IPv6:[0-9A-Fa-f:.]+|[A-Za-z0-9-]+:[!-Z^-~]+)\\]";
const AT = `@(${NAME}|${LITERAL})`;
/** RFC 5321 §4.1.2, RFC 6531 §3.3. */
const ATOM = `[A-Za-z0-9!#$%&'*+/=?^_\`{|}~${UTF8}-]+`;
const QUOTED = `"([ !#-\\[\\]-~${UTF8}]|\\\\[ -~]){0,62}"`;
const MAILBOX = `(${ATOM}(\\.${ATOM})*|${QUOTED})${AT}`;

export const DOMAIN = `^${NAME}$`;
export const DOMAIN_PATTERN = `^(\\*\\.)?${NAME}$`;
export const ADDRESS_SPACE_DOMAIN = `^(\\*|(\\*\\.)?${NAME})$`;
export const HOST = `^(${NAME}|[0-9A-Fa-f.]*:[0-9A-Fa-f:.]+)$`;
export const ADDRESS = `^${MAILBOX}$`;
export const ADDRESS_PATTERN = `^(\\*|\\*${AT}|${MAILBOX})$`;
