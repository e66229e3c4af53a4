/** Facts about mail that never became a message: `postroom trace` finds who refused it, and why. */
import { afterEach, describe, expect, test } from "vitest";
import { eventually } from "../helpers/eventually.ts";
import { openDialogue } from "../helpers/smtp-dialogue.ts";
import { BASIC, startTestTransport, type TestTransport } from "../helpers/transport.ts";

let transport: TestTransport | undefined;
afterEach(async () => {
  await transport?.stop();
  transport = undefined;
});

describe("a refusal by smtp itself", () => {
  test("is traced with sender, recipient and reply, once, when it names a recipient", async () => {
    transport = await startTestTransport({ manifests: { "all.yaml": BASIC } });
    const t = transport;
    const client = await openDialogue({ port: t.port() });
    expect(await client.say("MAIL FROM:<eve@outside.example>")).toMatch(/^250/);
    expect(await client.say("RCPT TO:<someone@else.example>")).toMatch(/^550 5\.7\.1/);
    expect(await client.say("BOGUS")).toMatch(/^500/);
    client.close();
    const found = await eventually(async () => {
      const events = await t.events();
      return events.length > 0 ? events : undefined;
    });
    expect(found).toMatchObject([
      {
        event: "FAIL",
        source: "SMTP",
        sender: "eve@outside.example",
        recipients: ["someone@else.example"],
        text: "550 5.7.1 Unable to relay",
      },
    ]);
  });
});
