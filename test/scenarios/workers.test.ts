/** Facts about a transport with two workers: it is one transport to whoever sends, receives, changes or looks at it. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { eventually } from "../helpers/eventually.ts";
import { createFakeClock } from "../helpers/fake-clock.ts";
import { postroom } from "../helpers/postroom.ts";
import { type Sink, type SinkOptions, startSink } from "../helpers/sink.ts";
import { type Dialogue, openDialogue } from "../helpers/smtp-dialogue.ts";
import { BASIC, startTestTransport, type TestTransport } from "../helpers/transport.ts";

let transport: TestTransport | undefined;
let sink: Sink | undefined;
const open: Dialogue[] = [];
afterEach(async () => {
  for (const client of open.splice(0)) client.close();
  await transport?.stop();
  await sink?.close();
  transport = undefined;
  sink = undefined;
});

/** A relay to a sink. */
async function start(how: {
  spec?: string;
  receive?: string;
  send?: string;
  sink?: SinkOptions;
  workers?: number;
}) {
  sink = await startSink(how.sink ?? {});
  const routing = `{type: SmartHost, smartHosts: [{host: 127.0.0.1, port: ${sink.port}}]}\n  tls: {mode: None}`;
  const manifest = BASIC.replace(
    "{hostname: mx.contoso.example}",
    `{hostname: mx.contoso.example, ${how.spec ?? ""}}`,
  )
    .replace(
      "tarpitInterval: 0s",
      `tarpitInterval: 0s\n  ${how.receive ?? "maxInboundConnectionPerSource: 500"}`,
    )
    .replace("{type: Drop, directory: mailboxes}", `${routing}\n  ${how.send ?? ""}`);
  transport = await startTestTransport({ manifests: { "all.yaml": manifest }, workers: how.workers ?? 2 });
  return { transport, sink, manifest };
}

const CONNECTIONS = 24;
const PER_CONNECTION = 3;

/** Over so many connections that no share is left out, but by one chance in 2^23; ids of what was accepted. */
async function sendMany(t: TestTransport, connections = CONNECTIONS): Promise<string[]> {
  const accepted = await Promise.all(
    Array.from({ length: connections }, async (_, connection) => {
      const client = await openDialogue({ port: t.port() });
      const ids: string[] = [];
      for (let n = 0; n < PER_CONNECTION; n += 1) {
        const subject = `${connection}-${n}`;
        const answer = await client.send(
          "eve@fabrikam.example",
          ["ann@contoso.example"],
          `Subject: ${subject}\r\n\r\nx\r\n`,
        );
        expect(answer).toMatch(/^250/);
        ids.push(/InternalId=([^\]]+)/.exec(answer)?.[1] ?? "");
      }
      client.close();
      return ids;
    }),
  );
  return accepted.flat();
}

/** The share that gave an id: its last six digits are the share's own. */
function sharesOf(ids: readonly string[]): ReadonlySet<string> {
  return new Set(ids.map((id) => id.slice(-6)));
}

function subjects(s: Sink): string[] {
  return s.messages
    .map(({ content }) => /^Subject: (.*)\r$/m.exec(content.toString("latin1"))?.[1] ?? "")
    .sort();
}

const metric = async (t: TestTransport, name: string) => {
  const text = await (await fetch(`http://127.0.0.1:${t.httpPort}/metrics`)).text();
  const values = text
    .split("\n")
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
  return values.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
};

const rows = async (
  t: TestTransport,
  ...args: readonly string[]
): Promise<readonly Record<string, unknown>[]> =>
  JSON.parse((await postroom("queue", "list", ...args, "-o", "json", "--state", t.state)).stdout);

describe("two workers", () => {
  test("take mail side by side, and all of it is delivered once, traced and counted", async () => {
    const { transport: t, sink: s } = await start({});
    const ids = await sendMany(t);
    expect(sharesOf(ids).size).toBe(2);
    expect(new Set(ids).size).toBe(CONNECTIONS * PER_CONNECTION);
    await s.messagesReach(ids.length);
    await eventually(
      async () => (await t.events()).filter(({ event }) => event === "SEND").length === ids.length,
    );
    expect(new Set(subjects(s)).size).toBe(ids.length);
    expect(s.messages).toHaveLength(ids.length);
    const traced = (await t.events()).filter(({ event }) => event === "RECEIVE").map(({ id }) => id);
    expect(new Set(traced)).toEqual(new Set(ids));
    expect(await metric(t, "postroom_messages_received_total")).toBe(ids.length);
    expect(await metric(t, "postroom_deliveries_total")).toBe(ids.length);
  });

  test("follow a change: no connection is served as before once it is in force", async () => {
    const { transport: t, manifest } = await start({});
    const greetings = async () => {
      const clients = await Promise.all(
        Array.from({ length: CONNECTIONS }, () => openDialogue({ port: t.port(), raw: true })),
      );
      open.push(...clients);
      return new Set(
        (await Promise.all(clients.map((client) => client.reply()))).map((line) => line.split(" ")[1]),
      );
    };
    expect(await greetings()).toEqual(new Set(["mx.contoso.example"]));
    const port = t.port();
    await t.change("all.yaml", manifest.replace("mx.contoso", "mail.contoso"));
    expect(await greetings()).toEqual(new Set(["mail.contoso.example"]));
    expect(t.port()).toBe(port);
  });

  test("hold the limit of one source together", async () => {
    const { transport: t } = await start({ receive: "maxInboundConnectionPerSource: 7" });
    const clients = await Promise.all(
      Array.from({ length: CONNECTIONS }, () => openDialogue({ port: t.port(), raw: true })),
    );
    open.push(...clients);
    const codes = (await Promise.all(clients.map((client) => client.reply()))).map((line) =>
      line.slice(0, 3),
    );
    expect(codes.filter((code) => code === "220")).toHaveLength(7);
    expect(codes.filter((code) => code === "421")).toHaveLength(CONNECTIONS - 7);
  });

  test.each([
    { name: "of a connector to one next hop", send: "maxConnections: 3" },
    { name: "of the transport to all next hops", spec: "limits: {maxOutboundConnections: 3}" },
  ])("hold the limit $name together, and all is delivered", async ({ send, spec }) => {
    let connections = 0;
    let most = 0;
    const { transport: t, sink: s } = await start({
      ...(send === undefined ? {} : { send }),
      ...(spec === undefined ? {} : { spec }),
      sink: {
        script({ verb }) {
          if (verb === "MAIL") most = Math.max(most, ++connections);
          if (verb !== "CONTENT") return undefined;
          // None ends before as many run as may: a slow machine would else never have so many at once.
          return eventually(() => most >= 3).then(() => {
            connections -= 1;
            return { delayMs: 5, reply: "250 2.0.0 taken" };
          });
        },
      },
    });
    const ids = await sendMany(t);
    await s.messagesReach(ids.length);
    expect(most).toBe(3);
  });

  test("are one to the administrator: lists, shows, exports and verbs reach both queues", async () => {
    const { transport: t } = await start({
      spec: "queue: {retryIntervals: [1h]}",
      sink: { script: ({ verb }) => (verb === "RCPT" ? "451 4.3.0 not today" : undefined) },
    });
    const ids = await sendMany(t);
    const { state } = t;
    await eventually(async () => (await rows(t))[0]?.retrying === ids.length);
    expect(await rows(t)).toMatchObject([{ queue: "Delivery", messages: ids.length, suspended: 0 }]);
    expect((await rows(t, "--messages", "--limit", "1000")).map(({ id }) => id)).toEqual(ids.toSorted());
    expect((await rows(t, "--messages", "--limit", "10")).map(({ id }) => id)).toEqual(
      ids.toSorted().slice(0, 10),
    );
    expect(await metric(t, "postroom_queue_messages")).toBe(ids.length);
    const oneOfEach = [...sharesOf(ids)].map((share) => ids.find((id) => id.endsWith(share)) ?? "");
    for (const id of oneOfEach) {
      expect(JSON.parse((await postroom("queue", "show", id, "--state", state)).stdout).id).toBe(id);
      expect((await postroom("queue", "export", id, "--state", state)).stdout).toContain("Subject:");
    }
    const removed = await postroom("queue", "remove", "--id", ...oneOfEach, "--state", state);
    expect(removed.stdout).toBe("2 messages\n");
    const suspended = await postroom("queue", "suspend", "--queue", "Delivery", "--state", state);
    expect(suspended.stdout).toBe(`${ids.length - 2} messages\n`);
    expect(await rows(t)).toMatchObject([{ messages: ids.length - 2, suspended: ids.length - 2 }]);
  });

  test("leave no mail behind when there is one worker from now on: its queue is delivered and removed", async () => {
    let isDown = true;
    const { transport: t, sink: s } = await start({
      spec: "queue: {retryIntervals: [1s]}",
      sink: { script: ({ verb }) => (isDown && verb === "RCPT" ? "451 4.3.0 not today" : undefined) },
    });
    const ids = await sendMany(t);
    const folder = join(t.state, "queue-1");
    expect(existsSync(folder)).toBe(true);
    await t.restart({ workers: 1 });
    const [more = ""] = await sendMany(t, 1);
    expect(existsSync(folder)).toBe(true);
    isDown = false;
    await s.messagesReach(ids.length + PER_CONNECTION);
    expect(new Set(subjects(s)).size).toBe(ids.length);
    expect(sharesOf([...ids, more]).size).toBe(3);
    await eventually(() => !existsSync(folder));
    await eventually(async () => (await rows(t)).length === 0);
    await t.restart({ workers: 2 });
    await sendMany(t);
    await s.messagesReach(ids.length * 2 + PER_CONNECTION);
  });

  test("are refused with what cannot be sent to a thread", async () => {
    const clock = createFakeClock();
    await expect(
      startTestTransport({ manifests: { "all.yaml": BASIC }, workers: 2, clock }),
    ).rejects.toMatchObject({ cause: { message: expect.stringContaining("clock of one's own") } });
  });
});
