/** Releases of the chart come and go, mail does not notice. */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from "vitest";
import { eventually } from "../helpers/eventually.ts";
import { type Cluster, installPostroom, openCluster, transportReady } from "./cluster.ts";
import { accountFor, explainFaults, queuedIn } from "./mail-account.ts";
import { type MailPlace, openMailPlace } from "./mail-place.ts";

const place = inject("cluster");
const ROOT = join(import.meta.dirname, "../..");
const SYSTEM = "postroom-system";
const PREVIOUS_IMAGE = "localhost/postroom:previous";
const WAIT_MS = 120_000;

/** The commit before the last one of the chart; undefined: this is no clone, or a shallow one. */
function previousCommit(): string | undefined {
  try {
    const args = ["-C", ROOT, "log", "--format=%H", "--max-count=2", "--", "charts/postroom"];
    return execFileSync("git", args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).split(
      "\n",
    )[1];
  } catch {
    return undefined;
  }
}

const previous = previousCommit() || undefined;

/** The chart as that commit has it. */
function chartOf(commit: string, folder: string): string {
  mkdirSync(folder);
  const archive = execFileSync("git", ["-C", ROOT, "archive", commit, "charts/postroom"]);
  execFileSync("tar", ["-x", "-C", folder], { input: archive });
  return join(folder, "charts/postroom");
}

describe.skipIf(place?.folder === undefined)("helm", () => {
  const cluster = place === undefined ? (undefined as never) : openCluster(place);
  const folder = mkdtempSync(join(tmpdir(), "postroom-previous-"));
  const lines: string[] = [];
  let mail: MailPlace;

  beforeAll(async () => {
    await installPostroom(cluster);
    mail = await openMailPlace(cluster, { namespace: "upgrade", replicas: 2 });
  });

  afterEach(() => {
    console.log(lines.splice(0).join("\n"));
  });

  afterAll(async () => {
    rmSync(folder, { recursive: true });
    await mail?.delete();
  });

  const lap = async <T>(name: string, step: () => Promise<T>): Promise<T> => {
    const begun = performance.now();
    const done = await step();
    lines.push(`upgrade: ${((performance.now() - begun) / 1000).toFixed(1)} s  ${name}`);
    return done;
  };
  const uids = async () => (await mail.pods()).map(({ uid }) => uid);

  test.skipIf(previous === undefined)(
    "upgrade under load fails no transaction and rolls no pod",
    async () => {
      await cluster.inNode("ctl", "images", "tag", place?.image ?? "", PREVIOUS_IMAGE);
      await install(cluster, chartOf(previous ?? "", join(folder, "chart")), "previous");
      await eventually(async () => (await operatorImage(cluster)) === PREVIOUS_IMAGE, WAIT_MS);
      await mail.mark(1);
      await marked(mail, 1);
      const before = await uids();
      const load = await mail.load({ messages: 300, rate: 50 });
      const begun = performance.now();
      await installPostroom(cluster);
      lines.push(`upgrade: helm upgrade ${((performance.now() - begun) / 1000).toFixed(1)} s`);
      expect(await operatorImage(cluster)).toBe(place?.image);
      await mail.mark(2);
      await marked(mail, 2);
      const result = await load.end();
      const account = await accountFor(mail, result);
      lines.push(`upgrade: ${JSON.stringify({ ...account, faults: explainFaults(result.faults, []) })}`);
      expect(result.faults).toEqual([]);
      expect(account).toMatchObject({ missing: [], twice: [] });
      expect(await uids()).toEqual(before);
    },
  );

  test("uninstall keeps definitions, objects, pods and mail, and the next install finds them", async () => {
    const before = await uids();
    await mail.kubectl("delete", "pod/sink");
    const load = await mail.load({ messages: 100, rate: 50 });
    await lap("helm uninstall", () => cluster.helm("uninstall", "postroom", "--namespace", SYSTEM, "--wait"));
    const result = await load.end();
    expect(result.faults).toEqual([]);
    expect(await mail.table()).toContain("mailtransport.postroom.dev/hub");
    expect(await uids()).toEqual(before);
    await mail.kubectl("delete", "pod/hub-0", "--grace-period=0", "--force");
    await lap("helm install", () => installPostroom(cluster));
    await lap("both pods ready", () => transportReady(cluster, "hub", mail.namespace));
    await lap("all mail is in the queues", () =>
      eventually(async () => (await queuedIn(mail)) === result.accepted.length, WAIT_MS),
    );
    await lap("the next hop is there again", () => mail.reopenSink());
    const account = await lap("all mail is delivered", () => accountFor(mail, result));
    lines.push(`upgrade: ${JSON.stringify(account)}`);
    expect(account).toMatchObject({ missing: [], queued: 0 });
    await mail.mark(3);
    await lap("a changed rule is in force", () => marked(mail, 3));
  });
});

async function install(cluster: Cluster, chart: string, tag: string): Promise<void> {
  await cluster.helm(
    ...["upgrade", "--install", "postroom", chart, "--namespace", SYSTEM],
    ...["--set", `image.repository=localhost/postroom,image.tag=${tag}`],
    ...["--wait", "--timeout", "120s"],
  );
}

async function operatorImage(cluster: Cluster): Promise<string | undefined> {
  const { spec } = await cluster.object("deployment/postroom", SYSTEM);
  return spec.template.spec.containers[0].image;
}

/** The operator at work has brought this rule to the pods: the probe of a change, from its kubectl apply to the mail. */
async function marked(mail: MailPlace, value: number): Promise<void> {
  const probe = await mail.load({ messages: 1, rate: 2 });
  await eventually(
    async () => (await mail.sink.messages()).some(({ content }) => content.includes(`X-Mark: ${value}\r\n`)),
    WAIT_MS,
  ).finally(() => probe.end());
}
