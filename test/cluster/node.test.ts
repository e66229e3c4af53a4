/** A node that is drained, and balancers that look whether anybody is there. */
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { eventually } from "../helpers/eventually.ts";
import { openDialogue } from "../helpers/smtp-dialogue.ts";
import { HOST_ADDRESS, installPostroom, NODE_ADDRESS, nodePort, openCluster } from "./cluster.ts";
import { accountFor, explainFaults } from "./mail-account.ts";
import { type MailPlace, openMailPlace } from "./mail-place.ts";

const place = inject("cluster");
const PROXY_PORT = 2626;
const WAIT_MS = 120_000;
const CHECKS = 200;

const behindBalancer = `
apiVersion: postroom.dev/v1alpha1
kind: ReceiveConnector
metadata: {name: behind-balancer}
spec:
  bindings: [{port: ${PROXY_PORT}}]
  permissionGroups: [AnonymousUsers]
  proxyProtocol: {trustedCIDRs: [${HOST_ADDRESS}/32]}
`;

describe.skipIf(place?.folder === undefined)("two pods on a node", () => {
  const cluster = place === undefined ? (undefined as never) : openCluster(place);
  let mail: MailPlace;

  beforeAll(async () => {
    await installPostroom(cluster);
    mail = await openMailPlace(cluster, { namespace: "drained", replicas: 2 });
  });

  afterAll(async () => {
    await cluster.kubectl("uncordon", "node-1");
    await mail?.delete();
  });

  test("kubectl drain evicts one, waits for it, and then the other; no mail is lost", async () => {
    const before = await mail.pods();
    const load = await mail.load({ messages: 300, rate: 30 });
    const from = Date.now();
    const drain = cluster.kubectl(
      ...[
        "drain",
        "node-1",
        "--pod-selector=app.kubernetes.io/instance=hub",
        "--delete-emptydir-data",
        "--timeout=120s",
      ],
    );
    // It has no other node to go to.
    const onePending = eventually(async () => {
      const pods = await mail.pods();
      return pods.some(({ address }) => address === "") && pods.some(({ isReady }) => isReady);
    }, WAIT_MS);
    await Promise.race([onePending, drain]);
    await cluster.kubectl("uncordon", "node-1");
    const said = await drain;
    await eventually(async () => {
      const pods = await mail.pods();
      return (
        pods.length === 2 &&
        pods.every(({ isReady, uid }) => isReady && !before.some((one) => one.uid === uid))
      );
    }, WAIT_MS);
    const to = Date.now();
    const result = await load.end();
    const account = await accountFor(mail, result);
    const lines = [
      `both pods evicted and ready in ${((to - from) / 1000).toFixed(1)} s`,
      JSON.stringify(account),
      ...explainFaults(result.faults, [{ name: "the drain", from, to }]),
    ];
    console.log(lines.map((line) => `node drain: ${line}`).join("\n"));
    expect(said).toContain("disruption budget");
    expect(account).toMatchObject({ missing: [] });
  });

  test.each([
    { name: "TCP4", header: "PROXY TCP4 192.0.2.7 198.51.100.1 40000 25\r\n", client: "[192.0.2.7]" },
    {
      name: "TCP6",
      header: "PROXY TCP6 2001:db8::7 2001:db8::1 40000 25\r\n",
      client: "[IPv6:2001:db8::7]",
    },
  ])("PROXY v1 $name tells the client's address", async ({ name, header, client }) => {
    await cluster.apply(behindBalancer, mail.namespace);
    const port = await nodePort(cluster, "hub", { namespace: mail.namespace, port: PROXY_PORT });
    const id = `proxied.${name}@client.example`;
    await eventually(() => sendThrough(port, header, id), WAIT_MS);
    const { content } = await eventually(async () =>
      (await mail.sink.messages()).find((one) => one.content.includes(`<${id}>`)),
    );
    expect(content).toContain(client);
    expect(content).not.toContain(`[${HOST_ADDRESS}]`);
  });

  test("balancers that connect and say nothing, or only who they are, disturb nobody", async () => {
    const plain = await nodePort(cluster, "hub", { namespace: mail.namespace, port: 25 });
    const proxied = await nodePort(cluster, "hub", { namespace: mail.namespace, port: PROXY_PORT });
    const local = Buffer.from("0d0a0d0a000d0a515549540a20000000", "hex");
    for (let check = 0; check < CHECKS; check += 1) {
      await knock(plain, "");
      await knock(proxied, "");
      await knock(proxied, "PROXY UNKNOWN\r\n");
      await knock(proxied, local);
    }
    const load = await mail.load({ messages: 20, rate: 50 });
    const result = await load.end();
    expect(result.faults).toEqual([]);
    expect((await mail.pods()).map(({ restarts, isReady }) => ({ restarts, isReady }))).toEqual([
      { restarts: 0, isReady: true },
      { restarts: 0, isReady: true },
    ]);
  });
});

/** Connects, says this, and goes. */
async function knock(port: number, words: string | Uint8Array): Promise<void> {
  const socket = connect({ host: NODE_ADDRESS, port });
  await new Promise<void>((resolve, reject) => {
    socket.once("error", reject);
    socket.once("connect", () => socket.write(words, () => resolve()));
  });
  socket.on("error", () => {});
  socket.destroy();
}

async function sendThrough(port: number, preface: string, id: string): Promise<boolean> {
  const dialogue = await openDialogue({ host: NODE_ADDRESS, port, preface });
  const content = `Subject: proxied\r\nMessage-ID: <${id}>\r\n\r\nx\r\n`;
  const reply = await dialogue.send("ann@client.example", ["bob@contoso.example"], content);
  dialogue.close();
  return reply.startsWith("250");
}
