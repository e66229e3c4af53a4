/** Shares of a transport in two threads: what is refused is in force in none, and what limits the whole is of the whole. */
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { parseManifests } from "../crds/mod.ts";
import { compileSnapshot } from "../snapshot/mod.ts";
import { eventually } from "../test/helpers/eventually.ts";
import { freePort } from "../test/helpers/free-port.ts";
import { openDialogue } from "../test/helpers/smtp-dialogue.ts";
import { BASIC } from "../test/helpers/transport.ts";
import { RefusedError } from "./configuration-source.ts";
import { putInForce } from "./put-in-force.ts";
import { openBase } from "./rooms.ts";
import { openShares, type SharesOptions } from "./shares.ts";
import type { Configuration, Share } from "./workers/mod.ts";

let state: string;
let share: Share;
beforeEach(() => {
  state = mkdtempSync(join(tmpdir(), "postroom-shares-"));
});
afterEach(async () => {
  await share.rest(0);
  await share.close();
  rmSync(state, { recursive: true });
});

const GENEROUS = BASIC.replace(
  "tarpitInterval: 0s",
  "tarpitInterval: 0s\n  maxInboundConnectionPerSource: 500",
);
const CONNECTIONS = 24;

function compile(text: string): Configuration {
  const { resources } = parseManifests([{ path: "all.yaml", text }]);
  const given = resources.map(({ resource }) => resource);
  const { snapshot } = compileSnapshot({ resources: given, secrets: new Map() });
  if (snapshot === undefined) throw new Error("The manifests are not valid");
  return { snapshot, secrets: new Map() };
}

async function open(options: Partial<SharesOptions> = {}): Promise<Share> {
  const log = pino({ level: "silent" });
  const threadLog = { level: "error", pretty: false };
  const memoryLimit = Number.MAX_SAFE_INTEGER;
  share = await openShares(
    { state, log, threadLog, memoryLimit, workers: 2, ...options },
    openBase({ state, log }),
  );
  return share;
}

/** Of its database: there are no bodies. */
function octetsOf(queue: string): number {
  return ["queue.db", "queue.db-wal"].reduce((sum, name) => sum + statSync(join(queue, name)).size, 0);
}

/** First words of what so many new connections are answered. */
async function answers(port: number, verb: "banner" | "MAIL"): Promise<ReadonlySet<string>> {
  const ask = async () => {
    const client = await openDialogue({ port, raw: true });
    const banner = await client.reply();
    if (verb === "banner") {
      client.close();
      return banner.split(" ").slice(0, 2).join(" ");
    }
    await client.say("EHLO client.example");
    const reply = await client.say("MAIL FROM:<eve@fabrikam.example>");
    client.close();
    return reply.slice(0, 9);
  };
  return new Set(await Promise.all(Array.from({ length: CONNECTIONS }, ask)));
}

describe("two shares", () => {
  test("of which one cannot listen where it shall: the whole is refused, and both serve as before", async () => {
    const shares = await open();
    const [first, good, busy] = [await freePort(), await freePort(), await freePort()];
    const other = await import("node:net").then(({ createServer }) =>
      createServer().listen(busy, "127.0.0.1"),
    );
    const at = (...ports: readonly number[]) =>
      GENEROUS.replace(
        "[{address: 127.0.0.1, port: 0}]",
        `[${ports.map((port) => `{address: 127.0.0.1, port: ${port}}`).join(", ")}]`,
      );
    await putInForce(compile(at(first)), shares, { wholly: true });
    await shares.startWork();
    const wrong = compile(at(first, good, busy).replace("mx.contoso", "mail.contoso"));
    await expect(putInForce(wrong, shares, { wholly: true })).rejects.toBeInstanceOf(RefusedError);
    expect(await answers(first, "banner")).toEqual(new Set(["220 mx.contoso.example"]));
    await expect(openDialogue({ port: good })).rejects.toThrow();
    await new Promise((resolve) => other.close(resolve));
    await putInForce(wrong, shares, { wholly: true });
    expect(await answers(first, "banner")).toEqual(new Set(["220 mail.contoso.example"]));
    expect(await answers(good, "banner")).toEqual(new Set(["220 mail.contoso.example"]));
  });

  test("drain and take mail again together", async () => {
    const shares = await open();
    await putInForce(compile(GENEROUS), shares, { wholly: true });
    await shares.startWork();
    const { port = 0 } = shares.bindings()[0] ?? {};
    await shares.setDraining(true);
    expect(await answers(port, "banner")).toEqual(new Set(["421 4.3.2"]));
    await shares.setDraining(false);
    expect(await answers(port, "banner")).toEqual(new Set(["220 mx.contoso.example"]));
  });

  test("refuse mail together when what all of them use is too much, whichever of them has it", async () => {
    const shares = await open();
    await putInForce(compile(GENEROUS), shares, { wholly: true });
    await shares.startWork();
    const { port = 0 } = shares.bindings()[0] ?? {};
    expect(await answers(port, "MAIL")).toEqual(new Set(["250 2.1.0"]));
    // One alone is within two thirds of it, both together are beyond.
    const each = ["queue", "queue-1"].map((queue) => octetsOf(join(state, queue)));
    const size = `queue: {storage: {size: "${Math.ceil(Math.max(...each) * 1.5)}"}}`;
    const full = GENEROUS.replace(
      "{hostname: mx.contoso.example}",
      `{hostname: mx.contoso.example, ${size}}`,
    );
    await putInForce(compile(full), shares, { wholly: true });
    await eventually(async () => [...(await answers(port, "MAIL"))].join() === "452 4.3.1");
  });

  test("cannot be opened beside others on the same folder, and leave nothing open", async () => {
    await open();
    const log = pino({ level: "silent" });
    const options = { state, log, threadLog: { level: "error", pretty: false }, memoryLimit: 1, workers: 3 };
    await expect(openShares(options, openBase(options))).rejects.toThrow("it is in use by");
    await share.close();
    await open({ workers: 3 });
    expect(await share.look()).toEqual({ sessions: 0, queues: [] });
  });
});
