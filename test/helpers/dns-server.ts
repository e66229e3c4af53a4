/**
 * A small DNS server on loopback, UDP and TCP on one port; node:dns Resolvers can ask it.
 *
 *   const dns = await startDns({
 *     "example.com": { MX: [[10, "mx.example.com"]], TXT: ["v=spf1 -all"] },
 *     "mx.example.com": { A: ["127.0.0.1"], AAAA: ["::1"] },
 *     "www.example.com": { CNAME: "example.com" },
 *     "null.example": { MX: [[0, "."]] },
 *     "broken.example": "SERVFAIL",       // or "REFUSED"
 *     "silent.example": "TIMEOUT",        // never answered
 *   });
 *   const resolver = new Resolver({ timeout: 200, tries: 1 }); resolver.setServers([dns.server]);
 *   dns.zone["new.example"] = {...};      // may be changed at any time
 *   dns.queries;                          // "MX example.com", in order
 *   await dns.close();
 *
 * A name that is not in the zone is NXDOMAIN, unless a name below it is; one without that type is NODATA.
 * CNAMEs are followed as a recursive resolver does. Answers too long for UDP (512 octets) come truncated, then by TCP.
 *
 * @module
 */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import ipaddr from "ipaddr.js";

export interface DnsRecords {
  readonly A?: readonly string[];
  readonly AAAA?: readonly string[];
  readonly MX?: readonly (readonly [preference: number, exchange: string])[];
  readonly TXT?: readonly string[];
  readonly PTR?: readonly string[];
  readonly CNAME?: string;
  /** Seconds; default 60. */
  readonly ttl?: number;
}

export type DnsZone = Record<string, DnsRecords | "SERVFAIL" | "REFUSED" | "TIMEOUT">;

export interface DnsServer {
  /** "127.0.0.1:port", as Resolver.setServers takes it. */
  readonly server: string;
  readonly port: number;
  readonly zone: DnsZone;
  readonly queries: string[];
  close(): Promise<void>;
}

const TYPES = { A: 1, CNAME: 5, PTR: 12, MX: 15, TXT: 16, AAAA: 28 } as const;
type RecordType = keyof typeof TYPES;
const RCODES = { NOERROR: 0, SERVFAIL: 2, NXDOMAIN: 3, REFUSED: 5 } as const;

interface Question {
  readonly id: number;
  readonly name: string;
  readonly type: RecordType | undefined;
  readonly octets: Buffer;
}

/** Listens on a random port of 127.0.0.1. */
export async function startDns(zone: DnsZone): Promise<DnsServer> {
  const queries: string[] = [];
  const { tcp, udp, port } = await listen();
  const sockets = new Set<Socket>();
  const answer = (query: Buffer): Buffer | undefined => {
    const question = readQuestion(query);
    if (question === undefined) return undefined;
    queries.push(`${question.type ?? "?"} ${question.name}`);
    return respond(zone, question);
  };
  udp.on("message", (query, from) => {
    const response = answer(query);
    if (response === undefined) return;
    const fits = response.length <= 512;
    udp.send(fits ? response : truncated(response, query), from.port, from.address);
  });
  tcp.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => {});
    let buffer = Buffer.alloc(0);
    socket.on("data", (chunk: Buffer) => {
      buffer = Buffer.concat([buffer, chunk]);
      while (buffer.length >= 2 && buffer.length >= 2 + buffer.readUInt16BE(0)) {
        const end = 2 + buffer.readUInt16BE(0);
        const response = answer(buffer.subarray(2, end));
        buffer = buffer.subarray(end);
        if (response !== undefined) socket.write(Buffer.concat([uint16(response.length), response]));
      }
    });
  });
  return {
    server: `127.0.0.1:${port}`,
    port,
    zone,
    queries,
    async close() {
      for (const socket of sockets) socket.destroy();
      const closed = [once(tcp, "close"), once(udp, "close")];
      tcp.close();
      udp.close();
      await Promise.all(closed);
    },
  };
}

/** UDP and TCP must share the port: tries until both are free. */
async function listen(): Promise<{ tcp: Server; udp: ReturnType<typeof createSocket>; port: number }> {
  for (let attempt = 0; attempt < 20; attempt += 1) {
    const udp = createSocket("udp4");
    udp.bind(0, "127.0.0.1");
    await once(udp, "listening");
    const { port } = udp.address();
    const tcp = createServer();
    tcp.listen(port, "127.0.0.1");
    const free = await once(tcp, "listening").then(
      () => true,
      () => false,
    );
    if (free) return { tcp, udp, port: (tcp.address() as AddressInfo).port };
    udp.close();
  }
  throw new Error("No port is free for both UDP and TCP");
}

function readQuestion(query: Buffer): Question | undefined {
  if (query.length < 17) return undefined;
  const labels: string[] = [];
  let at = 12;
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString("latin1", at + 1, at + 1 + length));
    at += 1 + length;
  }
  const wanted = query.readUInt16BE(at + 1);
  const type = (Object.keys(TYPES) as RecordType[]).find((name) => TYPES[name] === wanted);
  const name = labels.join(".").toLowerCase();
  return { id: query.readUInt16BE(0), name, type, octets: query.subarray(12, at + 5) };
}

function respond(zone: DnsZone, question: Question): Buffer | undefined {
  const answers: Buffer[] = [];
  let { name } = question;
  for (let hops = 0; hops < 8; hops += 1) {
    const records = zone[name];
    if (records === "TIMEOUT") return undefined;
    if (records === "SERVFAIL" || records === "REFUSED") return message(question, RCODES[records], []);
    if (records === undefined) {
      const below = Object.keys(zone).some((other) => other.endsWith(`.${name}`));
      return message(question, below ? RCODES.NOERROR : RCODES.NXDOMAIN, answers);
    }
    if (records.CNAME === undefined || question.type === "CNAME") {
      answers.push(...encode(name, question.type, records));
      return message(question, RCODES.NOERROR, answers);
    }
    answers.push(record(name, "CNAME", records.ttl, encodeName(records.CNAME)));
    name = records.CNAME.toLowerCase();
  }
  return message(question, RCODES.SERVFAIL, []);
}

function encode(name: string, type: RecordType | undefined, records: DnsRecords): Buffer[] {
  const make = (octets: Buffer) => record(name, type as RecordType, records.ttl, octets);
  switch (type) {
    case "A":
    case "AAAA":
      return (records[type] ?? []).map((address) => make(Buffer.from(ipaddr.parse(address).toByteArray())));
    case "MX":
      return (records.MX ?? []).map(([preference, exchange]) =>
        make(Buffer.concat([uint16(preference), encodeName(exchange)])),
      );
    case "TXT":
      return (records.TXT ?? []).map((text) => make(encodeText(text)));
    case "PTR":
      return (records.PTR ?? []).map((target) => make(encodeName(target)));
    case "CNAME":
      return records.CNAME === undefined ? [] : [make(encodeName(records.CNAME))];
    case undefined:
      return [];
  }
}

function record(name: string, type: RecordType, ttl: number | undefined, octets: Buffer): Buffer {
  const fixed = Buffer.alloc(10);
  fixed.writeUInt16BE(TYPES[type], 0);
  fixed.writeUInt16BE(1, 2);
  fixed.writeUInt32BE(ttl ?? 60, 4);
  fixed.writeUInt16BE(octets.length, 8);
  return Buffer.concat([encodeName(name), fixed, octets]);
}

function message({ id, octets }: Question, rcode: number, answers: readonly Buffer[]): Buffer {
  const header = Buffer.alloc(12);
  header.writeUInt16BE(id, 0);
  // QR, RD, RA.
  header.writeUInt16BE(0x8180 | rcode, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(answers.length, 6);
  return Buffer.concat([header, octets, ...answers]);
}

/** RFC 1035 §4.2.1: the TC bit sends the client to TCP. */
function truncated(response: Buffer, query: Buffer): Buffer {
  const question = readQuestion(query);
  const header = Buffer.from(response.subarray(0, 12));
  header.writeUInt16BE(header.readUInt16BE(2) | 0x0200, 2);
  header.writeUInt16BE(0, 6);
  return Buffer.concat([header, question?.octets ?? Buffer.alloc(0)]);
}

function encodeName(name: string): Buffer {
  const labels = name.split(".").filter((label) => label !== "");
  const parts = labels.map((label) =>
    Buffer.concat([Buffer.from([label.length]), Buffer.from(label, "latin1")]),
  );
  return Buffer.concat([...parts, Buffer.from([0])]);
}

/** RFC 1035 §3.3.14: strings of at most 255 octets. */
function encodeText(text: string): Buffer {
  const pieces = text.match(/[\s\S]{1,255}/g) ?? [""];
  return Buffer.concat(
    pieces.map((piece) => Buffer.concat([Buffer.from([piece.length]), Buffer.from(piece, "latin1")])),
  );
}

function uint16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff]);
}
