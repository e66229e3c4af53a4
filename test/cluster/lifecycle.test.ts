/** Mail goes on while all that an administrator does and all that fails happens at once: nothing accepted is lost. */
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { eventually } from "../helpers/eventually.ts";
import { installPostroom, openCluster } from "./cluster.ts";
import { accountFor, type Disturbance, explainFaults, type MailAccount } from "./mail-account.ts";
import type { LoadResult } from "./mail-load.ts";
import { type MailPlace, openMailPlace } from "./mail-place.ts";

const place = inject("cluster");
const MESSAGES = 5000;
const RATE = 30;
const CHANGES = 20;
const CHANGE_EVERY_MS = 6000;
const OUTAGE_MS = 60_000;
const WAIT_MS = 180_000;
const SYSTEM = "postroom-system";

describe.skipIf(place?.folder === undefined)("5,000 messages while all happens", () => {
  const cluster = place === undefined ? (undefined as never) : openCluster(place);
  const done: Disturbance[] = [];
  const tables: string[] = [];
  const restarts = new Map<string, number>();
  let mail: MailPlace;
  let result: LoadResult;
  let account: MailAccount;

  beforeAll(async () => {
    await installPostroom(cluster);
    mail = await openMailPlace(cluster, { namespace: "lifecycle", replicas: 3 });
  });

  afterAll(async () => {
    const lines = [
      ...tables,
      ...done.map(({ name, from, to }) => `${((to - from) / 1000).toFixed(1)} s  ${name}`),
      ...(result === undefined ? [] : explainFaults(result.faults, done)),
      JSON.stringify({ ...result, accepted: undefined, faults: result?.faults.length }),
      JSON.stringify(account),
    ];
    console.log(lines.map((line) => `lifecycle: ${line}`).join("\n"));
    await mail?.delete();
  });

  async function during(name: string, act: () => Promise<unknown>): Promise<void> {
    const from = Date.now();
    try {
      await act();
      for (const { uid, restarts: count } of await mail.pods()) restarts.set(uid, count);
    } finally {
      done.push({ name, from, to: Date.now() });
    }
  }

  /** Also while the API server is away: then as soon as it is there again. */
  async function changeRules(): Promise<void> {
    for (let value = 1; value <= CHANGES; value += 1) {
      await eventually(() => mail.mark(value).then(() => true), WAIT_MS);
      await new Promise((resolve) => setTimeout(resolve, CHANGE_EVERY_MS));
    }
  }

  async function renewCertificate(): Promise<void> {
    await mail.certificate("renewed.contoso.example");
    await eventually(async () =>
      (await mail.servedCertificates()).every((name) => name === "renewed.contoso.example"),
    );
  }

  async function roll(): Promise<void> {
    const before = new Set((await mail.pods()).map(({ uid }) => uid));
    await mail.patch("mailtransport/hub", { spec: { podAnnotations: { rolled: "yes" } } });
    await eventually(async () => {
      const pods = await mail.pods();
      if (tables.length === 1 && pods.some(({ isReady }) => !isReady)) tables.push(await mail.table());
      return pods.length === 3 && pods.every(({ uid, isReady }) => isReady && !before.has(uid));
    }, WAIT_MS);
  }

  async function killPod(): Promise<void> {
    const before = (await mail.pods())[0]?.uid;
    await mail.kubectl("delete", "pod/hub-0", "--grace-period=0", "--force");
    await eventually(
      async () => (await mail.pods()).some(({ uid, isReady }) => isReady && uid !== before),
      WAIT_MS,
    );
  }

  const leader = async (): Promise<string> =>
    (await cluster.object("lease/postroom", SYSTEM)).spec.holderIdentity.replace(/_.*/, "");

  async function deleteLeader(): Promise<void> {
    const before = await leader();
    await cluster.kubectl("delete", `pod/${before}`, "--namespace", SYSTEM);
    await eventually(async () => ![before, ""].includes(await leader()), WAIT_MS);
  }

  async function withoutApiServer(): Promise<void> {
    await cluster.stopProgram("apiserver", "KILL");
    await new Promise((resolve) => setTimeout(resolve, OUTAGE_MS));
    await cluster.startProgram("apiserver");
    await eventually(() => cluster.kubectl("get", "--raw", "/readyz"), WAIT_MS);
  }

  async function scaleDown(): Promise<void> {
    await mail.patch("mailtransport/hub", { spec: { replicas: 1 } });
    await eventually(async () => (await mail.pods()).length === 1, WAIT_MS);
  }

  test("nothing that was accepted is lost", { timeout: 900_000 }, async () => {
    tables.push(await mail.table());
    const load = await mail.load({ messages: MESSAGES, rate: RATE });
    const changes = changeRules();
    await during("a certificate renews", renewCertificate);
    await during("the StatefulSet rolls", roll);
    await during("it scales from 3 to 1", scaleDown);
    await during("the only pod is killed with no grace", killPod);
    await during("the operator's leader is deleted", deleteLeader);
    await during("the API server is away for a minute", withoutApiServer);
    await changes;
    result = await load.end();
    account = await accountFor(mail, result);
    expect(account.missing).toEqual([]);
    expect(result.accepted.length).toBeGreaterThanOrEqual(MESSAGES);
  });

  test("every object is Ready, and the last change is in force", async () => {
    await mail.kubectl("wait", "--for=condition=Ready", "mtr,rcv,snd,adom,trule", "--all", "--timeout=120s");
    tables.push(await mail.table());
    const load = await mail.load({ messages: 1, rate: 10 });
    const { accepted } = await load.end();
    const [last] = accepted.slice(-1);
    const message = await eventually(async () =>
      (await mail.sink.messages()).findLast(({ content }) => content.includes(`<${last}>`)),
    );
    expect(message.content).toContain(`X-Mark: ${CHANGES}\r\n`);
  });

  test("no transport pod crashed", async () => {
    for (const { uid, restarts: count } of await mail.pods()) restarts.set(uid, count);
    expect([...restarts.values()].filter((count) => count > 0)).toEqual([]);
  });
});
