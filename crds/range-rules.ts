/** CEL about IP ranges: what parseIpRange() and isWideRange() find, said to the API server. `range` is a CEL expression. */

/** first-last of one family, IPv4 in order. The order of IPv6 ends CEL cannot see. */
export function isFirstLast(range: string): string {
  const [first, last] = [`${range}.split('-')[0]`, `${range}.split('-')[1]`];
  return [
    `${range}.split('-').size() == 2`,
    `isIP(${first}) && isIP(${last})`,
    `ip(${first}).family() == ip(${last}).family()`,
    `(ip(${first}).family() == 6 || ${number(first)} <= ${number(last)})`,
  ].join(" && ");
}

/** More addresses than an IPv4 /16, or beyond one IPv6 /48. A range that is none is not wide. */
export function isWide(range: string): string {
  const [first, last] = [`${range}.split('-')[0]`, `${range}.split('-')[1]`];
  const wideCidr = `cidr(${range}).prefixLength() < (cidr(${range}).ip().family() == 4 ? 16 : 48)`;
  const wideIPv4 = `${number(last)} - ${number(first)} >= 65536`;
  const wideIPv6 = `!cidr(${first} + '/48').containsIP(${last})`;
  const wideFirstLast = `(ip(${first}).family() == 4 ? ${wideIPv4} : ${wideIPv6})`;
  return `isCIDR(${range}) ? ${wideCidr} : (${isFirstLast(range)} && ${wideFirstLast})`;
}

/** Every address of its family. */
export function isWholeFamily(range: string): string {
  const cidr = `isCIDR(${range}) && cidr(${range}).prefixLength() == 0`;
  const ends = ["0.0.0.0-255.255.255.255", "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"];
  return `(${cidr}) || ${range} in [${ends.map((end) => `'${end}'`).join(", ")}]`;
}

function number(address: string): string {
  return `[${address}.split('.').map(octet, int(octet))].map(o, ((o[0] * 256 + o[1]) * 256 + o[2]) * 256 + o[3])[0]`;
}
