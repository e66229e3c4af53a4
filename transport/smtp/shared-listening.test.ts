/** Several services on one address, as the threads of one process are, and limits that hold for all of them. */
import { createServer } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { systemClock } from "../../lib/clock.ts";
import { allocateCounts, createSharedCounts } from "../../lib/shared-counts.ts";
import { allocateRates, createSharedRates } from "../../lib/shared-rates.ts";
import { reply } from "../../mail/reply.ts";
import type { SessionHandler } from "../../mail/session.ts";
import { freePort } from "../../test/helpers/free-port.ts";
import { receiveConnector } from "../../test/helpers/receive-connector.ts";
import { makeClient } from "../../test/helpers/session-rig.ts";
import { config, dial } from "../../test/helpers/smtp-service.ts";
import { createSmtpService, type SmtpDeps, type SmtpService } from "./mod.ts";

const services: SmtpService[] = [];
afterEach(async () => {
  await Promise.all(services.splice(0).map((service) => service.close(0)));
});

const handler: SessionHandler = {
  onConnect: () => undefined,
  onEhlo: () => undefined,
  onAuth: () => undefined,
  onMail: () => undefined,
  onRcpt: () => undefined,
  onData: () => ({ reply: reply(451, "4.3.0", "No") }),
  onReset: () => undefined,
  onReject: () => undefined,
  onDisconnect: () => undefined,
};
const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

function start(deps: Partial<SmtpDeps>): SmtpService {
  const service = createSmtpService({
    open: () => handler,
    clock: systemClock,
    log: silent,
    count: () => {},
    ...deps,
  });
  services.push(service);
  return service;
}

describe("services that share an address", () => {
  test("reusePort lets both listen; without it the second is told that the port is taken", async () => {
    const port = await freePort();
    const connectors = [receiveConnector({ bindings: [{ address: "127.0.0.1", port }] })];
    const [first, second, third] = [true, true, false].map((reusePort) => start({ reusePort }));
    expect(await first?.apply(config(connectors))).toEqual([]);
    expect(await second?.apply(config(connectors))).toEqual([]);
    expect(await third?.apply(config(connectors))).toMatchObject([{ reason: "BindingFailed" }]);
  });

  test("a port of another program is a BindingFailed with reusePort too", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => other.once("listening", resolve));
    const { port } = other.address() as { port: number };
    const connectors = [receiveConnector({ bindings: [{ address: "127.0.0.1", port }] })];
    const faults = await start({ reusePort: true }).apply(config(connectors));
    other.close();
    expect(faults).toMatchObject([{ reason: "BindingFailed", path: "spec.bindings[0]" }]);
  });

  test("connections, sessions of a source and messages a minute are counted over all of them", async () => {
    const memory = { counts: allocateCounts(64), rates: allocateRates(64) };
    const connectors = [receiveConnector({ maxInboundConnectionPerSource: 3, messageRateLimit: 2 })];
    const both = [0, 1].map(() =>
      start({ counts: createSharedCounts(memory.counts), rates: createSharedRates(memory.rates) }),
    );
    const greetings: string[] = [];
    const clients = [];
    for (const service of both) await service.apply(config(connectors, { maxInboundConnections: 4 }));
    for (const turn of [0, 1, 0, 1]) {
      const client = makeClient(dial(both[turn] as SmtpService));
      clients.push(client);
      greetings.push((await client.reply()).slice(0, 9));
    }
    expect(greetings).toEqual(["220 mx.co", "220 mx.co", "220 mx.co", "421 4.7.0"]);
    const rates: string[] = [];
    for (const client of clients.slice(0, 3)) {
      await client.say("EHLO me");
      rates.push((await client.say("MAIL FROM:<>")).slice(0, 9));
    }
    expect(rates).toEqual(["250 2.1.0", "250 2.1.0", "421 4.4.2"]);
    expect(both.map((service) => service.stats().byConnector["default/internet"])).toEqual([2, 1]);
  });
});
