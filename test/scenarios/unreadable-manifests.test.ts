/** Facts about manifests that cannot be read: nothing that may stand in them is taken for deleted. */
import { execFileSync } from "node:child_process";
import { cp, mkdir, rename, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { eventually } from "../helpers/eventually.ts";
import { openDialogue } from "../helpers/smtp-dialogue.ts";
import { BASIC, startTestTransport, type TestTransport } from "../helpers/transport.ts";

let transport: TestTransport | undefined;
afterEach(async () => {
  await transport?.stop();
  transport = undefined;
});

const MORE = `
apiVersion: postroom.dev/v1alpha1
kind: AcceptedDomain
metadata: {name: more}
spec: {domains: [more.example]}
`;

async function start(): Promise<TestTransport> {
  transport = await startTestTransport({ manifests: { "all.yaml": BASIC, "more.yaml": MORE } });
  return transport;
}

async function takes(port: number, recipient: string): Promise<boolean> {
  const client = await openDialogue({ port });
  await client.say("MAIL FROM:<eve@fabrikam.example>");
  const answer = await client.say(`RCPT TO:<${recipient}>`);
  client.close();
  return answer.startsWith("250");
}

function says(t: TestTransport, text: string): boolean {
  return t.logs.some(({ msg }) => String(msg).includes(text));
}

test.each([
  {
    name: "a link that leads nowhere",
    make: (path: string) => symlink("/nonexistent/file", path),
    want: "more.yaml:1: the file cannot be read: the link leads nowhere",
  },
  {
    name: "a link that leads to itself",
    make: (path: string) => symlink(path, path),
    want: "more.yaml:1: the file cannot be read: the link leads to itself",
  },
  {
    name: "a pipe",
    make: async (path: string) => void execFileSync("mkfifo", [path]),
    want: "more.yaml:1: this is no regular file",
  },
  {
    name: "a file of 11 MiB",
    make: (path: string) => writeFile(path, "#".repeat(11 * 2 ** 20)),
    want: "more.yaml:1: the file is larger than 10 MiB",
  },
])("$name keeps what stood there in force, and is told", async ({ make, want }) => {
  const t = await start();
  const path = join(t.manifests, "more.yaml");
  await rm(path);
  await make(path);
  await eventually(() => says(t, want));
  await eventually(() => t.logs.some(({ reason }) => reason === "Unreadable"));
  expect(await takes(t.port(), "x@more.example")).toBe(true);
  await rm(path);
  await eventually(async () => !(await takes(t.port(), "x@more.example")));
});

test("a folder whose name ends in .yaml is a folder", async () => {
  const t = await start();
  await mkdir(join(t.manifests, "sub.yaml"));
  await writeFile(join(t.manifests, "sub.yaml", "third.yaml"), MORE.replaceAll("more", "third"));
  await eventually(() => takes(t.port(), "x@third.example"));
  await rm(join(t.manifests, "more.yaml"));
  await eventually(async () => !(await takes(t.port(), "x@more.example")));
});

test("a folder that is taken away leaves all in force, and is followed again when it is back", async () => {
  const t = await start();
  const aside = `${t.manifests}-aside`;
  await rename(t.manifests, aside);
  await eventually(async () => (await takes(t.port(), "x@more.example")) || undefined);
  await cp(aside, t.manifests, { recursive: true });
  await writeFile(join(t.manifests, "third.yaml"), MORE.replaceAll("more", "third"));
  await eventually(() => takes(t.port(), "x@third.example"));
  await writeFile(join(t.manifests, "fourth.yaml"), MORE.replaceAll("more", "fourth"));
  await eventually(() => takes(t.port(), "x@fourth.example"));
  await rm(aside, { recursive: true });
});
