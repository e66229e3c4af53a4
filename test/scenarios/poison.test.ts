/** Facts about a message that crashes the process: set aside at the threshold, while the others go on. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, expect, test } from "vitest";
import { eventually } from "../helpers/eventually.ts";
import { postroom } from "../helpers/postroom.ts";
import { openDialogue } from "../helpers/smtp-dialogue.ts";
import { BASIC } from "../helpers/transport.ts";

let root: string;
let child: ChildProcess | undefined;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "postroom-poison-"));
  await mkdir(join(root, "manifests"));
});
afterEach(async () => {
  child?.kill("SIGKILL");
  await rm(root, { recursive: true, force: true });
});

const url = (path: string) => JSON.stringify(new URL(`../../${path}`, import.meta.url).href);
/** A transport whose one agent kills the process when the categorizer shows it a message for "poison". */
const program = () => `
  import { createLog } from ${url("lib/log.ts")};
  import { startTransport } from ${url("transport/main.ts")};
  const crash = ({ recipients }) => {
    if (recipients.some(({ address }) => address.localPart === "poison")) process.kill(process.pid, "SIGKILL");
  };
  const transport = await startTransport({
    source: { folder: { manifests: ${JSON.stringify(join(root, "manifests"))} } },
    state: ${JSON.stringify(join(root, "state"))},
    log: createLog({ level: "fatal", pretty: false }),
    agents: [{ key: "senderFilter", name: "Crash", antispam: false, create: () => ({ onSubmitted: crash }) }],
  });
  console.log("port", transport.bindings()[0].port);
`;

/** Starts the process; its port, or undefined when it died before it could say. */
async function startProcess(): Promise<number | undefined> {
  child = spawn(process.execPath, ["--input-type=module", "-e", program()], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  if (child.stdout === null) throw new Error("The child has no output");
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.startsWith("port ")) return Number(line.slice(5));
  }
  return undefined;
}

async function died(): Promise<void> {
  if (child?.exitCode === null && child.signalCode === null) await once(child, "exit");
  expect(child?.signalCode).toBe("SIGKILL");
}

async function sendTo(port: number, recipient: string): Promise<string> {
  const client = await openDialogue({ port });
  const answer = await client.send("eve@fabrikam.example", [recipient], "Subject: x\r\n\r\nx\r\n");
  client.close();
  return answer;
}

const list = async (): Promise<readonly Record<string, unknown>[]> =>
  JSON.parse(
    (await postroom("queue", "list", "--messages", "--state", join(root, "state"), "-o", "json")).stdout,
  );

test.each([
  { threshold: 2, queue: "{}" },
  { threshold: 3, queue: "{poisonThreshold: 3}" },
])(
  "a message that crashes the process $threshold times waits in Poison, and the others go on",
  async (row) => {
    const manifest = BASIC.replace(
      "{hostname: mx.contoso.example}",
      `{hostname: mx.contoso.example, queue: ${row.queue}, agents: [{senderFilter: {}}]}`,
    );
    await writeFile(join(root, "manifests", "all.yaml"), manifest);
    const first = await startProcess();
    // Answered, or cut off by the crash that follows.
    await sendTo(first ?? 0, "poison@contoso.example").catch(() => undefined);
    await died();
    for (let crash = 1; crash < row.threshold; crash += 1) {
      expect(await list()).toMatchObject([{ queue: "Submission" }]);
      await startProcess();
      await died();
    }
    const port = await startProcess();
    expect(await sendTo(port ?? 0, "ann@contoso.example")).toMatch(/^250/);
    const drop = join(root, "state", "drop", "mailboxes");
    await eventually(async () => (await readdir(drop)).some((name) => name.endsWith(".eml")));
    expect(await list()).toMatchObject([
      { queue: "Poison", status: "Suspended", recipients: ["poison@contoso.example"] },
    ]);
    const trace = await eventually(async () => {
      const { stdout } = await postroom(
        "trace",
        "--recipient",
        "poison@contoso.example",
        "--state",
        join(root, "state"),
      );
      return stdout.includes("POISONMESSAGE") ? stdout : undefined;
    });
    expect(trace).toContain(`The process ended ${row.threshold} times while working on this message`);
  },
);
