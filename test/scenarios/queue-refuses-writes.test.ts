/** Facts about a database that refuses changes for a while: what could not be settled is settled later, without a restart. */
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, describe, expect, test } from "vitest";
import { eventually } from "../helpers/eventually.ts";
import { fastClock } from "../helpers/fast-clock.ts";
import { openDialogue } from "../helpers/smtp-dialogue.ts";
import { BASIC, OUTSIDE, startTestTransport, type TestTransport } from "../helpers/transport.ts";

let transport: TestTransport;
afterEach(() => transport.stop());

const HUB = "{hostname: mx.contoso.example}";

/** Thirty times as fast: a pause of half a minute takes a second. lost.example has no route. */
async function start(queue = "{}", outside = OUTSIDE.replace('"*"', "fabrikam.example")) {
  const manifest = BASIC.replace(HUB, `{hostname: mx.contoso.example, queue: ${queue}}`).replace(
    "domains: [contoso.example]",
    "domains: [contoso.example, lost.example, moved.example]",
  );
  transport = await startTestTransport({
    manifests: { "all.yaml": manifest, "outside.yaml": outside },
    clock: fastClock(30),
  });
}

async function send(...to: string[]) {
  const client = await openDialogue({ port: transport.port() });
  expect(await client.send("eve@fabrikam.example", to, "Subject: x\r\n\r\nx\r\n")).toMatch(/^250/);
  client.close();
}

/** From now on, and until the answer is called. */
function refuse(verb: "UPDATE" | "DELETE"): () => void {
  const run = (sql: string) => {
    const database = new DatabaseSync(join(transport.state, "queue", "queue.db"), { timeout: 5000 });
    database.exec(sql);
    database.close();
  };
  run(`CREATE TRIGGER refuse BEFORE ${verb} ON items BEGIN SELECT RAISE(ABORT, 'refused'); END`);
  return () => run("DROP TRIGGER refuse");
}

const said = (text: string) => transport.logs.filter(({ msg }) => msg === text).length;
const events = async (kind: string) =>
  (await transport.events()).filter(({ event }) => event === kind).length;

describe("while the queue refuses changes", () => {
  test("the usual message needs none but its removal, and is delivered", async () => {
    await start();
    const allow = refuse("UPDATE");
    await send("ann@contoso.example");
    await eventually(async () => (await transport.dropped("mailboxes")).length === 1);
    allow();
  });

  test("a message that is more than one copy stays in the submission queue, and is categorized when it can be", async () => {
    await start();
    const allow = refuse("UPDATE");
    await send("ann@contoso.example", "cy@lost.example");
    await send("bob@contoso.example", "cy@lost.example");
    await eventually(() => said("message not deferred, kept as it was") >= 2);
    expect(await transport.dropped("mailboxes")).toEqual([]);
    allow();
    await eventually(async () => (await transport.dropped("mailboxes")).length === 2);
  });

  test("messages whose time is over wait, and their senders hear of it when they can", async () => {
    await start("{messageExpiration: 1m}");
    const allow = refuse("DELETE");
    await send("ann@lost.example");
    await send("bob@lost.example");
    await eventually(() => said("overdue message not settled") >= 2);
    allow();
    await eventually(async () => (await transport.dropped("outside")).length === 2);
  });

  test("mail whose connector is gone is routed anew when it can be", async () => {
    const moved = OUTSIDE.replace('"*"', "moved.example").replace(
      "{type: Drop, directory: outside}",
      "{type: SmartHost, smartHosts: [{host: 127.0.0.1, port: 9}]}",
    );
    await start("{retryIntervals: [30s]}", moved);
    await send("ann@moved.example");
    await send("bob@moved.example");
    await eventually(async () => (await events("DEFER")) >= 1);
    const allow = refuse("UPDATE");
    await transport.change("outside.yaml", "");
    await eventually(() => said("delivery queue not read") >= 1);
    allow();
    await eventually(async () => (await events("RESUBMIT")) === 2);
  });
});
