/** Attacks by SMTP clients. Each takes the ground and gives figures; `violations` names what must not be. */
import { randomBytes } from "node:crypto";
import {
  BODY_MARKER,
  ENVELOPE,
  type Ground,
  openRaw,
  openSession,
  PASSWORD_MARKER,
  pause,
  type Raw,
  within,
} from "./hostile-ground.ts";

export interface Outcome {
  readonly figures?: Readonly<Record<string, number | string>>;
  readonly violations?: readonly string[];
}
export type Attack = (ground: Ground) => Promise<Outcome>;

/** Each looks like an end of data to somebody; only CRLF.CRLF is one. */
const FALSE_ENDS = [
  ...[
    "\n.\n",
    "\n.\r\n",
    "\r.\r",
    "\r.\r\n",
    "\r\n.\n",
    "\r\n.\r",
    "\n.\r",
    "\r.\n",
    "\n\r.\r\n",
    "\r\n.\r\r\n",
  ],
  ...[
    "\r\n.\0\r\n",
    "\r\n\0.\r\n",
    "\0.\r\n",
    "\r\n.\n\r\n",
    "\r\n. \r\n",
    "\r\n..\r\n",
    "\n\n.\n\n",
    "\r\r\n.\r\r\n",
  ],
  ...["\x85.\x85", "\v.\v", "\f.\f", "\r\n\u00b7\r\n"],
];
const SPLITS = ["whole", "halves", "octets"] as const;

export const smuggling: Attack = async ({ port, arrived, bareLineEnds }) => {
  const violations: string[] = [];
  arrived.clear();
  const cases = FALSE_ENDS.flatMap((end) =>
    SPLITS.flatMap((split) => [
      { end, split, verb: "DATA" },
      { end, split, verb: "BDAT" },
    ]),
  );
  const taken: string[] = [];
  let refused = 0;
  await Promise.all(
    cases.map(async ({ end, split, verb }, n) => {
      const tag = `smuggle-${n}`;
      const second = `${ENVELOPE.join("\r\n")}\r\nDATA\r\nX-Tag: ${tag}\r\nSubject: smuggled\r\n\r\nx`;
      const content = `X-Tag: ${tag}\r\nSubject: outer\r\n\r\nhello${end}${second}\r\n`;
      const raw = await openSession(port, ...ENVELOPE, ...(verb === "DATA" ? ["DATA"] : []));
      const before = raw.text().match(/^\d{3} /gm)?.length ?? 0;
      const octets = verb === "DATA" ? `${content}.\r\n` : `BDAT ${content.length} LAST\r\n${content}`;
      await writeSplit(raw, octets, split);
      const text = await raw.replies(before + 1);
      await pause(100); // a second reply would come now
      const last = text.slice(text.lastIndexOf("\r\n", text.length - 3) + 2);
      const extra = (raw.text().match(/^\d{3} /gm)?.length ?? 0) - before;
      if (extra !== 1) violations.push(`${JSON.stringify(end)} by ${verb} in ${split}: ${extra} replies`);
      if (/^250/.test(last)) taken.push(tag);
      else refused += 1;
      raw.socket.destroy();
    }),
  );
  await within(10_000, () => taken.every((tag) => arrived.has(tag)));
  await pause(300);
  for (let n = 0; n < cases.length; n += 1) {
    const times = arrived.get(`smuggle-${n}`) ?? 0;
    const want = taken.includes(`smuggle-${n}`) ? 1 : 0;
    if (times !== want) violations.push(`${JSON.stringify(cases[n])} came ${times} times, not ${want}`);
  }
  if (bareLineEnds() > 0) violations.push(`${bareLineEnds()} messages with bare CR or LF at the sink`);
  return { figures: { forms: cases.length, taken: taken.length, refused }, violations };
};

async function writeSplit({ socket }: Raw, octets: string, split: (typeof SPLITS)[number]): Promise<void> {
  const size = split === "whole" ? octets.length : split === "halves" ? Math.ceil(octets.length / 2) : 1;
  for (let at = 0; at < octets.length && !socket.destroyed; at += size) {
    socket.write(octets.slice(at, at + size), "latin1");
    if (split !== "whole") await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Sends what may be long; resolves with the last reply, "" when there was none. */
async function pour(raw: Raw, parts: Iterable<string>): Promise<string> {
  const { socket } = raw;
  for (const part of parts) {
    if (socket.destroyed || !socket.writable) break;
    if (!socket.write(part, "latin1"))
      await within(10_000, () => !socket.writableNeedDrain || raw.isClosed());
  }
  const before = raw.text().length;
  await within(20_000, () => raw.isClosed() || raw.text().length > before);
  const last = raw.text().trimEnd().split("\r\n").at(-1) ?? "";
  socket.destroy();
  return last.slice(0, 3);
}

function* times(count: number, text: (n: number) => string, end: string): Generator<string> {
  for (let n = 0; n < count; n += 1) yield text(n);
  yield end;
}

const EACH = 65_536;
const CHUNK = "x".repeat(EACH);

export const oversized: Attack = async ({ port }) => {
  const inData = () => openSession(port, ...ENVELOPE, "DATA");
  const figures: Record<string, string> = {};
  const send = async (name: string, raw: Raw, parts: Iterable<string>) => {
    figures[name] = await pour(raw, parts);
  };
  const mega = (count: number) => Math.ceil((count * 2 ** 20) / EACH);
  await send(
    "command 1 MB",
    await openSession(port),
    times(mega(1), () => CHUNK, "\r\n"),
  );
  await send(
    "command 20 MB",
    await openSession(port),
    times(mega(20), () => CHUNK, "\r\n"),
  );
  await send("header line 1 MB", await inData(), [
    "X: ",
    ...times(mega(1), () => CHUNK, "\r\n\r\nx\r\n.\r\n"),
  ]);
  await send("body line 1 MB", await inData(), ["X: y\r\n\r\n", ...times(mega(1), () => CHUNK, "\r\n.\r\n")]);
  await send("body line 20 MB", await inData(), [
    "X: y\r\n\r\n",
    ...times(mega(20), () => CHUNK, "\r\n.\r\n"),
  ]);
  await send(
    "header 10 MB",
    await inData(),
    times(mega(10), () => `X: ${"y".repeat(900)}\r\n`.repeat(72), "\r\nx\r\n.\r\n"),
  );
  await send(
    "100,000 fields",
    await inData(),
    times(100, (n) => `X${n}: y\r\n`.repeat(1000), "\r\nx\r\n.\r\n"),
  );
  await send("50 MB", await inData(), [
    "X: y\r\n\r\n",
    ...times(mega(50), () => `${"z".repeat(62)}\r\n`.repeat(1024), ".\r\n"),
  ]);
  return {
    figures,
    violations: Object.entries(figures).flatMap(([name, code]) =>
      /^[2345]/.test(code) ? [] : [`${name}: no reply`],
    ),
  };
};

export const mimeBombs: Attack = async ({ port }) => {
  const multipart = (n: number) => `Content-Type: multipart/mixed; boundary="b${n}"\r\n\r\n--b${n}\r\n`;
  const bombs: Record<string, readonly string[]> = {
    "depth 10,000": [...times(10_000, multipart, "\r\nend\r\n")],
    "depth 10,000, one boundary": [`Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n`.repeat(10_000)],
    "rfc822 in rfc822, 10,000": ["Content-Type: message/rfc822\r\n\r\n".repeat(10_000)],
    "100,000 parts": [multipart(0), ...times(100, () => "x\r\n--b0\r\n".repeat(1000), "--b0--\r\n")],
    "unterminated boundaries": [multipart(0), ...times(200, () => `--b0${"-".repeat(900)}\r\n`, "")],
    "a boundary of 60 kB": [
      `Content-Type: multipart/mixed; boundary="${"b".repeat(900)}"\r\n ;${" x=y;\r\n".repeat(5000)}\r\n\r\n`,
    ],
    "encoded words and charsets": [`Subject: ${"=?utf-8?Q?=\r\n =?x?B?".repeat(5000)}\r\n\r\n`],
    "a name in 10,000 pieces": [
      `Content-Disposition: attachment;${[...Array(10_000).keys()].map((n) => `\r\n filename*${n}*=%41`).join(";")}\r\n\r\n`,
    ],
    "broken base64": ["Content-Transfer-Encoding: base64\r\n\r\n", `${"=A".repeat(400)}\r\n`.repeat(2000)],
    "(a+)+$": ["Subject: x\r\n\r\n", `${"a".repeat(900)}!\r\n`.repeat(1000)],
  };
  const figures: Record<string, string> = {};
  await Promise.all(
    Object.entries(bombs).map(async ([name, parts]) => {
      figures[name] = await pour(await openSession(port, ...ENVELOPE, "DATA"), [
        "From: eve@evil.example\r\n",
        ...parts,
        "\r\n.\r\n",
      ]);
    }),
  );
  return {
    figures,
    violations: Object.entries(figures).flatMap(([name, code]) =>
      /^[245]/.test(code) ? [] : [`${name}: ${code || "no reply"}`],
    ),
  };
};

/** 100 senders of one octet a second, 200 that say nothing; they stay until they are let go. */
export async function openSlowClients(port: number): Promise<() => { readonly open: number }> {
  const slow = await Promise.all(Array.from({ length: 100 }, () => openSession(port, ...ENVELOPE, "DATA")));
  const silent = Array.from({ length: 200 }, () => openRaw(port));
  const timer = setInterval(() => {
    for (const { socket } of slow) if (socket.writable) socket.write("x");
  }, 1000);
  return () => {
    clearInterval(timer);
    const all = [...slow, ...silent];
    const open = all.filter((raw) => !raw.isClosed()).length;
    for (const { socket } of all) socket.destroy();
    return { open };
  };
}

export const resets: Attack = async ({ port }) => {
  const verbs = ["DATA", `BDAT 1000000`];
  await Promise.all(
    Array.from({ length: 200 }, async (_, n) => {
      const { socket } = await openSession(port, ...ENVELOPE);
      socket.write(`${verbs[n % 2]}\r\nSubject: half\r\n\r\n${"x".repeat((n * 997) % 90_000)}`);
      await pause(n % 50);
      socket.resetAndDestroy();
    }),
  );
  return { figures: { connections: 200 } };
};

export const bdat: Attack = async ({ port }) => {
  const sizes = [
    "999999999999999999999",
    "18446744073709551616",
    "4294967296",
    "37748736",
    "-1",
    "0x10",
    "1e3",
    "00000000000000000001",
  ];
  const figures: Record<string, string> = {};
  for (const size of sizes) {
    const raw = await openSession(port, ...ENVELOPE);
    raw.socket.write(`BDAT ${size}\r\n`);
    await pause(50);
    figures[size] = raw.text().trimEnd().split("\r\n").at(-1)?.slice(0, 3) ?? "";
    raw.socket.resetAndDestroy();
  }
  const flood = await openSession(port, ...ENVELOPE);
  for (let n = 0; n < 100; n += 1) flood.socket.write("BDAT 0\r\n".repeat(1000));
  const text = await flood.replies(100_000, 15_000);
  flood.socket.destroy();
  return { figures: { ...figures, "BDAT 0 answered": text.match(/^\d{3} /gm)?.length ?? 0 } };
};

export const bruteForce: Attack = async ({ port }) => {
  let tries = 0;
  let entered = 0;
  await Promise.all(
    Array.from({ length: 20 }, async (_, n) => {
      const plain = (password: string) =>
        Buffer.from(`\0ann@contoso.example\0${password}`).toString("base64");
      const raw = await openSession(port);
      for (let one = 0; one < 10 && !raw.isClosed(); one += 1, tries += 1) {
        raw.socket.write(
          n % 2
            ? `AUTH PLAIN ${plain(`${PASSWORD_MARKER}${one}`)}\r\n`
            : `AUTH LOGIN\r\nYW5u\r\n${Buffer.from(`${PASSWORD_MARKER}${one}`).toString("base64")}\r\n`,
        );
        await raw.replies(2 + (one + 1) * (n % 2 ? 1 : 3), 5000);
      }
      if (raw.text().includes("235 ")) entered += 1;
      raw.socket.destroy();
    }),
  );
  return { figures: { tries }, violations: entered > 0 ? [`${entered} came in with wrong passwords`] : [] };
};

export const recipients: Attack = async ({ port }) => {
  const raw = await openSession(port, ENVELOPE[0] ?? "");
  for (let n = 0; n < 1000; n += 1) raw.socket.write(`RCPT TO:<r${n}@contoso.example>\r\n`);
  const text = await raw.replies(1003);
  raw.socket.destroy();
  const taken = text.match(/^250 2\.1\.5/gm)?.length ?? 0;
  return { figures: { offered: 1000, taken }, violations: taken > 200 ? [`${taken} recipients taken`] : [] };
};

/** Commands without end from clients that never read the replies. */
export const floods: Attack = async ({ port }) => {
  const lines = ["NOOP\r\n", "EHLO x\r\n", "RSET\r\n", "MAIL FROM:<a@b.example>\r\nRSET\r\n", "FOO\r\n"];
  const sockets = await Promise.all(
    Array.from({ length: 20 }, async (_, n) => {
      const { socket } = await openSession(port);
      socket.pause();
      for (let one = 0; one < 50; one += 1) socket.write((lines[n % lines.length] ?? "").repeat(2000));
      return socket;
    }),
  );
  await pause(3000);
  for (const socket of sockets) socket.resetAndDestroy();
  return { figures: { connections: sockets.length } };
};

const STATES: Readonly<Record<string, readonly string[]>> = {
  connected: [],
  mail: ENVELOPE.slice(0, 1),
  recipient: ENVELOPE,
  data: [...ENVELOPE, "DATA"],
  chunk: [...ENVELOPE, "BDAT 3\r\nabc"],
  auth: ["AUTH LOGIN"],
  tls: ["STARTTLS"],
};

export const randomOctets: Attack = async ({ port }) => {
  const ends: Record<string, number> = {};
  for (const [state, lines] of Object.entries(STATES)) {
    await Promise.all(
      Array.from({ length: 60 }, async (_, n) => {
        const raw = await openSession(port, ...lines);
        const text =
          n % 2 === 0
            ? randomBytes(n * 40)
            : Buffer.from(
                `MAIL FROM:<\xff\xfe@\xc3\x28.example>\r\nSubject: \xff\r\n\r\n${BODY_MARKER}\xff\r\n.\r\n`,
                "latin1",
              );
        raw.socket.end(text);
        if (await within(10_000, raw.isClosed)) ends[state] = (ends[state] ?? 0) + 1;
        raw.socket.destroy();
      }),
    );
  }
  return {
    figures: ends,
    violations: Object.keys(STATES).flatMap((state) =>
      ends[state] === 60 ? [] : [`${state}: ${60 - (ends[state] ?? 0)} sessions stayed open`],
    ),
  };
};
