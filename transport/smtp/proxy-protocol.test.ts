import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { crc32c } from "./crc32c.ts";
import { parseProxyHeader } from "./proxy-protocol.ts";

const SIGNATURE = Buffer.from("0d0a0d0a000d0a515549540a", "hex");
function v2(command: number, family: number, block: Buffer): Buffer {
  const head = Buffer.from([command, family, block.length >> 8, block.length & 255]);
  return Buffer.concat([SIGNATURE, head, block]);
}
const tcp4 = Buffer.from("c6336407c0000201d4310019", "hex");
const tcp6 = Buffer.concat([
  Buffer.from("20010db8000000000000000000000001", "hex"),
  Buffer.from("00000000000000000000ffffc0000201", "hex"),
  Buffer.from("d4310019", "hex"),
]);
function tlv(type: number, value: Buffer): Buffer {
  return Buffer.concat([Buffer.from([type, value.length >> 8, value.length & 255]), value]);
}
function withChecksum(block: Buffer, wrong = 0): Buffer {
  const blank = v2(0x21, 0x11, Buffer.concat([block, tlv(3, Buffer.alloc(4))]));
  blank.writeUInt32BE((crc32c(blank) ^ wrong) >>> 0, blank.length - 4);
  return blank;
}

const ends4 = {
  source: { address: "198.51.100.7", port: 54321 },
  destination: { address: "192.0.2.1", port: 25 },
};

const good = [
  {
    name: "a version 1 line names both ends",
    octets: Buffer.from("PROXY TCP4 198.51.100.7 192.0.2.1 54321 25\r\n"),
    command: "PROXY",
    ends: ends4,
  },
  {
    name: "a version 1 line over IPv6",
    octets: Buffer.from("PROXY TCP6 2001:db8::7 2001:db8::1 1 25\r\n"),
    command: "PROXY",
    ends: { source: { address: "2001:db8::7", port: 1 }, destination: { address: "2001:db8::1", port: 25 } },
  },
  {
    name: "a version 1 line over IPv6 in another spelling of the same addresses",
    octets: Buffer.from("PROXY TCP6 2001:0DB8:0:0::0007 ::FFFF:192.0.2.1 1 25\r\n"),
    command: "PROXY",
    ends: { source: { address: "2001:db8::7", port: 1 }, destination: { address: "192.0.2.1", port: 25 } },
  },
  {
    name: "UNKNOWN says nothing",
    octets: Buffer.from("PROXY UNKNOWN\r\n"),
    command: "PROXY",
    ends: undefined,
  },
  {
    name: "what follows UNKNOWN is ignored",
    octets: Buffer.from("PROXY UNKNOWN ffff:f...f:ffff some words\r\n"),
    command: "PROXY",
    ends: undefined,
  },
  { name: "version 2 over IPv4", octets: v2(0x21, 0x11, tcp4), command: "PROXY", ends: ends4 },
  {
    name: "version 2 over IPv6, a mapped address as IPv4",
    octets: v2(0x21, 0x21, tcp6),
    command: "PROXY",
    ends: {
      source: { address: "2001:db8::1", port: 54321 },
      destination: { address: "192.0.2.1", port: 25 },
    },
  },
  {
    name: "LOCAL is a health check",
    octets: v2(0x20, 0x00, Buffer.alloc(0)),
    command: "LOCAL",
    ends: undefined,
  },
  {
    name: "LOCAL with a block skips it unread",
    octets: v2(0x20, 0x77, Buffer.from("junk")),
    command: "LOCAL",
    ends: undefined,
  },
  {
    name: "AF_UNSPEC says nothing, whatever follows",
    octets: v2(0x21, 0x00, Buffer.from("xx")),
    command: "PROXY",
    ends: undefined,
  },
  {
    name: "AF_UNIX says nothing",
    octets: v2(0x21, 0x31, Buffer.alloc(216)),
    command: "PROXY",
    ends: undefined,
  },
  {
    name: "TLVs are skipped",
    octets: v2(0x21, 0x11, Buffer.concat([tcp4, tlv(0xea, Buffer.alloc(700, 1)), tlv(4, Buffer.alloc(0))])),
    command: "PROXY",
    ends: ends4,
  },
  { name: "a right CRC32c is accepted", octets: withChecksum(tcp4), command: "PROXY", ends: ends4 },
];

describe("parseProxyHeader()", () => {
  test.each(good)("$name", ({ octets, command, ends }) => {
    const expected = { state: "done", header: { command, ends }, length: octets.length };
    expect(parseProxyHeader(octets)).toEqual(expected);
    expect(parseProxyHeader(Buffer.concat([octets, Buffer.from("EHLO x\r\n")]))).toEqual(expected);
  });

  test.each(good)("$name: every shorter part asks for more", ({ octets }) => {
    for (let length = 0; length < octets.length; length++) {
      expect(parseProxyHeader(octets.subarray(0, length)), `${length} octets`).toEqual({ state: "more" });
    }
  });

  test.each([
    { name: "SMTP without a header", octets: Buffer.from("EHLO client.example\r\n") },
    { name: "a lower-case word", octets: Buffer.from("proxy TCP4 1.2.3.4 1.2.3.4 1 1\r\n") },
    { name: "a line beyond 107 octets", octets: Buffer.from(`PROXY UNKNOWN ${"x".repeat(200)}\r\n`) },
    { name: "a line that never ends", octets: Buffer.from(`PROXY TCP4 ${"1".repeat(200)}`) },
    { name: "a bare LF", octets: Buffer.from(`PROXY TCP4 1.2.3.4 1.2.3.4 1 1\n${" ".repeat(90)}`) },
    { name: "a protocol of another kind", octets: Buffer.from("PROXY UDP4 1.2.3.4 1.2.3.4 1 1\r\n") },
    { name: "an IPv6 address under TCP4", octets: Buffer.from("PROXY TCP4 ::1 1.2.3.4 1 1\r\n") },
    { name: "an IPv4 address under TCP6", octets: Buffer.from("PROXY TCP6 1.2.3.4 ::1 1 1\r\n") },
    { name: "a port above 65535", octets: Buffer.from("PROXY TCP4 1.2.3.4 1.2.3.4 65536 1\r\n") },
    { name: "a port with a leading zero", octets: Buffer.from("PROXY TCP4 1.2.3.4 1.2.3.4 01 1\r\n") },
    { name: "an octet of an address too many", octets: Buffer.from("PROXY TCP4 1.2.3.4.5 1.2.3.4 1 1\r\n") },
    { name: "two spaces", octets: Buffer.from("PROXY TCP4  1.2.3.4 1.2.3.4 1 1\r\n") },
    { name: "one word too many", octets: Buffer.from("PROXY TCP4 1.2.3.4 1.2.3.4 1 1 1\r\n") },
    { name: "version 1 in the binary header", octets: v2(0x11, 0x11, tcp4) },
    { name: "an unknown command", octets: v2(0x22, 0x11, tcp4) },
    { name: "a datagram transport", octets: v2(0x21, 0x12, tcp4) },
    { name: "an unknown family", octets: v2(0x21, 0x41, tcp4) },
    { name: "a block too short for its family", octets: v2(0x21, 0x21, tcp4) },
    { name: "a TLV cut off", octets: v2(0x21, 0x11, Buffer.concat([tcp4, Buffer.from([1, 0])])) },
    {
      name: "a TLV beyond the header",
      octets: v2(0x21, 0x11, Buffer.concat([tcp4, Buffer.from([1, 0, 9, 1])])),
    },
    { name: "a wrong CRC32c", octets: withChecksum(tcp4, 1) },
    {
      name: "a CRC32c of another length",
      octets: v2(0x21, 0x11, Buffer.concat([tcp4, tlv(3, Buffer.alloc(3))])),
    },
  ])("refuses $name", ({ octets }) => {
    expect(parseProxyHeader(octets)).toMatchObject({ state: "bad" });
  });

  test("any octets are answered, and never with a length beyond them", () => {
    const start = fc.constantFrom(Buffer.from("PROXY "), SIGNATURE, v2(0x21, 0x11, tcp4), Buffer.alloc(0));
    fc.assert(
      fc.property(start, fc.uint8Array({ maxLength: 300 }), (prefix, noise) => {
        const octets = Buffer.concat([prefix, noise]);
        const parsed = parseProxyHeader(octets);
        if (parsed.state === "done") expect(parsed.length).toBeLessThanOrEqual(octets.length);
      }),
      { numRuns: 5000 },
    );
  });
});

describe("crc32c()", () => {
  test("gives the check value of the Castagnoli polynomial", () => {
    expect(crc32c(Buffer.from("123456789"))).toBe(0xe3069283);
  });
  test("gives the value of RFC 3720 appendix B.4 for 32 zeros", () => {
    expect(crc32c(Buffer.alloc(32))).toBe(0x8a9136aa);
  });
});
