/** Facts about the files of large bodies: when their message is gone, so are they, whatever rules made of it. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { eventually } from "../helpers/eventually.ts";
import { openDialogue } from "../helpers/smtp-dialogue.ts";
import { BASIC, startTestTransport, type TestTransport } from "../helpers/transport.ts";

let transport: TestTransport;
afterEach(() => transport.stop());

const disclaimer = (name: string) => `
---
apiVersion: postroom.dev/v1alpha1
kind: TransportRule
metadata: {name: ${name}}
spec:
  conditions: {subjectContainsWords: [legal]}
  actions: {applyHtmlDisclaimer: {html: "<p>${name}</p>"}}
`;

test("a large message that two rules changed leaves no file behind", async () => {
  transport = await startTestTransport({
    manifests: { "all.yaml": BASIC + disclaimer("first") + disclaimer("second") },
  });
  const client = await openDialogue({ port: transport.port() });
  const text = `Subject: legal\r\n\r\n${`${"x".repeat(70)}\r\n`.repeat(1000)}`;
  expect(await client.send("eve@fabrikam.example", ["ann@contoso.example"], text)).toMatch(/^250/);
  client.close();
  const [mail] = await eventually(async () => {
    const found = await transport.dropped("mailboxes");
    return found.length === 1 ? found : undefined;
  });
  expect(mail).toMatch(/first[\s\S]*second|second[\s\S]*first/);
  await eventually(async () => (await readdir(join(transport.state, "queue", "bodies"))).length === 0);
});
