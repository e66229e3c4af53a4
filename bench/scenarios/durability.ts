/** Every 250 comes after the flush of its message: seen in the system calls. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { guardFolder } from "../../test/helpers/process-guard.ts";
import { relayManifest, temporaryFolder } from "../processes.ts";
import { openConnection } from "./client-connection.ts";
import { whole } from "./figures.ts";
import { type Judged, judge, lineMark, type MarkedMessage, reversePath } from "./flushed-first.ts";
import type { Ground } from "./ground.ts";
import { diskOfQueues } from "./machine.ts";
import type { Scenario } from "./scenario.ts";
import { envelopeOf, headerOf } from "./test-messages.ts";
import { parseTrace } from "./trace.ts";

const CONNECTIONS = 5;
const FILLING = "and text that fills the line of a message that is traced";
const TRACED =
  "write,writev,pwrite64,pwritev,pwritev2,sendto,sendmsg,fsync,fdatasync,openat,rename,renameat,renameat2";
const SIZES = [
  { name: "4 KiB", size: 4096 },
  { name: "100 KiB", size: 102_400 },
];

export const durability: Scenario = {
  name: "durability",
  title: "Every 250 after the flush of its message",
  reading: `The transport runs under \`strace -f\`; ${CONNECTIONS} connections send 50 messages whose every line bears a mark of its own, and a reverse-path of its own each. For each message: each line and the reverse-path (the row of the queue) stand in a write to a file that had returned before a flush (fdatasync, fsync) of that file began, the flush had returned without error before the write of the 250 began, and the folder of a new file was flushed too. Checked by the order of the calls, message by message; a line that lies across two pages cannot be seen and counts as missing, of which a tenth is allowed.`,
  async run(ground) {
    if (spawnSync("strace", ["-V"]).status !== 0)
      throw new Error("strace is missing (Debian package strace)");
    const rows = [];
    for (const { name, size } of SIZES) rows.push({ name, ...(await traced(ground, size)) });
    const { device, fileSystem, mountOptions } = diskOfQueues();
    const wrong = rows.flatMap(({ judged }) => judged.filter(({ fault }) => fault !== ""));
    const checked = rows.reduce((sum, { judged }) => sum + judged.length, 0);
    const control = rows.reduce((sum, { wrongWithoutFlushes }) => sum + wrongWithoutFlushes, 0);
    return {
      tables: [
        {
          columns: ["messages", "checked", "wrong", "lines seen on disk first", "flushes", "writes to files"],
          rows: rows.map(({ name, judged, lines, flushes, writes }) => [
            name,
            whole(judged.length),
            whole(judged.filter(({ fault }) => fault !== "").length),
            `${whole(judged.reduce((sum, { linesOnDisk }) => sum + linesOnDisk, 0))} of ${whole(lines * judged.length)}`,
            whole(flushes),
            whole(writes),
          ]),
        },
      ],
      goals: [
        {
          what: "250s before the flush of their message",
          goal: "0",
          measured: `${wrong.length} of ${checked}`,
          isMet: wrong.length === 0 && checked > 0,
        },
        {
          what: "control: wrong in the same trace without its flushes",
          goal: `${checked}`,
          measured: `${control}`,
          isMet: control === checked,
        },
      ],
      notes: [
        `Disk: ${device}, ${fileSystem} (${mountOptions}). Flushes and writes are those of the whole run, with start, relay and end.`,
        ...wrong.map(({ number, fault }) => `Message ${number}: ${fault}.`),
      ],
      raw: rows,
    };
  },
};

interface Traced {
  readonly judged: readonly Judged[];
  /** What the judge says of the same trace with its flushes taken out: all wrong, or it cannot see. */
  readonly wrongWithoutFlushes: number;
  readonly lines: number;
  readonly flushes: number;
  readonly writes: number;
}

async function traced(ground: Ground, size: number): Promise<Traced> {
  const sink = await ground.sink();
  const folder = temporaryFolder();
  guardFolder(folder.path);
  const file = join(folder.path, "trace");
  // -D: the tracer is the grandchild, so that signals and its end reach the transport itself.
  const under = ["strace", "-D", "-f", "-yy", "-s", "4000000", "-o", file, "-e", `trace=${TRACED}`];
  const relay = await ground.postroom({
    under,
    manifests: (port) => relayManifest({ port, nextHopPort: sink.port }),
  });
  const count = ground.isQuick ? 10 : 50;
  const lines = Math.ceil(size / (FILLING.length + 10));
  const messages = await sendMarked(relay.port, count, lines);
  const { distinct } = await sink.until(count, 60_000);
  if (distinct !== count) throw new Error(`${distinct} of ${count} messages were delivered`);
  await relay.stop();
  await sink.stop();
  const text = await wholeTrace(file);
  const calls = parseTrace(text);
  const judged = judge(text, messages);
  const control = judge(text.replace(/^\d+ +f(?:data)?sync\(.*$/gm, ""), messages);
  folder.remove();
  return {
    judged,
    wrongWithoutFlushes: control.filter(({ fault }) => fault !== "").length,
    lines,
    flushes: calls.filter(({ name }) => name.endsWith("sync")).length,
    writes: calls.filter(({ name, words }) => /write/.test(name) && /^\d+<\//.test(words)).length,
  };
}

/** The tracer ends after the transport: its last line says how that ended. */
async function wholeTrace(file: string): Promise<string> {
  const end = performance.now() + 20_000;
  for (;;) {
    const text = readFileSync(file, "latin1");
    if (/\+\+\+ (?:exited with|killed by) .*\n$/.test(text)) return text;
    if (performance.now() > end) throw new Error("The trace has no end");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function sendMarked(port: number, count: number, lines: number): Promise<MarkedMessage[]> {
  const messages: MarkedMessage[] = [];
  await Promise.all(
    Array.from({ length: CONNECTIONS }, async (_, line) => {
      const connection = await openConnection({ port });
      for (let place = 0; place < count / CONNECTIONS; place += 1) {
        const number = line * 1000 + place;
        const { code } = await connection.send(...textOf(number, lines));
        if (code !== 250) throw new Error(`Message ${number} was answered ${code}`);
        messages.push({ number, clientPort: connection.localPort, place, lines });
      }
      connection.close();
    }),
  );
  return messages;
}

function textOf(number: number, lines: number): [envelope: string, content: Buffer[]] {
  const to = "ann@contoso.example";
  const header = headerOf({
    id: `${number}@marks.example`,
    sentAt: performance.timeOrigin + performance.now(),
    from: "load@source.example",
    to,
  });
  const body = Array.from({ length: lines }, (_, line) => `${lineMark(number, line)} ${FILLING}\r\n`);
  return [
    envelopeOf({ from: reversePath(number), to }),
    [Buffer.from(header), Buffer.from(`${body.join("")}.\r\n`)],
  ];
}
