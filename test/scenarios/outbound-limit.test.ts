/** Facts about maxOutboundConnections: it is never passed, and nobody who waits for it is forgotten. */
import { afterEach, expect, test } from "vitest";
import { eventually } from "../helpers/eventually.ts";
import { type Sink, startSink } from "../helpers/sink.ts";
import { openDialogue } from "../helpers/smtp-dialogue.ts";
import { BASIC, startTestTransport, type TestTransport } from "../helpers/transport.ts";

let transport: TestTransport;
let sink: Sink;
afterEach(async () => {
  await transport.stop();
  await sink.close();
});

const NEXT_HOPS = Array.from({ length: 12 }, (_, n) => `d${n}.contoso.example`);
const connector = (domain: string, port: number) => `
---
apiVersion: postroom.dev/v1alpha1
kind: SendConnector
metadata: {name: ${domain}}
spec:
  addressSpaces: [{domain: ${domain}}]
  routing: {type: SmartHost, smartHosts: [{host: 127.0.0.1, port: ${port}}]}
  tls: {mode: None}`;

test("twelve next hops share two connections: all their mail is delivered, over two at a time", async () => {
  let open = 0;
  let most = 0;
  sink = await startSink({
    script: ({ verb }) => {
      if (verb === "MAIL") most = Math.max(most, ++open);
      if (verb !== "CONTENT") return undefined;
      open -= 1;
      return { delayMs: 5, reply: "250 2.0.0 taken" };
    },
  });
  const manifest = BASIC.replace(
    "{hostname: mx.contoso.example}",
    "{hostname: mx.contoso.example, limits: {maxOutboundConnections: 2}}",
  ).replace("domains: [contoso.example]", 'domains: ["*.contoso.example"]');
  const connectors = NEXT_HOPS.map((domain) => connector(domain, sink.port)).join("");
  transport = await startTestTransport({ manifests: { "all.yaml": manifest + connectors } });
  const client = await openDialogue({ port: transport.port() });
  const to = NEXT_HOPS.flatMap((domain) => [`ann@${domain}`]);
  for (let n = 0; n < 5; n += 1) {
    expect(await client.send("eve@fabrikam.example", to, "Subject: x\r\n\r\nx\r\n")).toMatch(/^250/);
  }
  client.close();
  await eventually(() => sink.messages.length === 5 * NEXT_HOPS.length);
  expect(most).toBe(2);
});
