/** The trace survives what happens to its folder; mail does not hear of it. */
import { rm, writeFile } from "node:fs/promises";
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

async function sendOne(t: TestTransport): Promise<void> {
  const client = await openDialogue({ port: t.port() });
  expect(
    await client.send("eve@fabrikam.example", ["ann@contoso.example"], "Subject: x\r\n\r\nx\r\n"),
  ).toMatch(/^250/);
  client.close();
}

const traced = async (t: TestTransport) =>
  (await t.events()).filter(({ event }) => event === "DELIVER").length;

test("a tracking folder that was removed is there again with the next event", async () => {
  const t = await startTestTransport({ manifests: { "all.yaml": BASIC } });
  transport = t;
  await sendOne(t);
  await eventually(async () => (await traced(t)) === 1);
  await rm(join(t.state, "tracking"), { recursive: true });
  await sendOne(t);
  await eventually(async () => (await traced(t)) === 1);
});

test("events go on when what stood in the folder's way is gone", async () => {
  const t = await startTestTransport({ manifests: { "all.yaml": BASIC } });
  transport = t;
  const folder = join(t.state, "tracking");
  await rm(folder, { recursive: true });
  await writeFile(folder, "no folder");
  await sendOne(t);
  await eventually(async () => (await t.dropped("mailboxes")).length === 1);
  await rm(folder);
  await sendOne(t);
  await eventually(async () => (await traced(t)) >= 1);
});
