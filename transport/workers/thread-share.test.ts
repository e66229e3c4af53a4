/** A share in a thread, as the main thread sees it: answers, refusals, and the end of the thread. */
import { execFile } from "node:child_process";
import { afterEach, describe, expect, test } from "vitest";
import { eventually } from "../../test/helpers/eventually.ts";
import type { Configuration, Share } from "./share.ts";
import { openThreadShare } from "./thread-share.ts";

const CONFIGURATION = {
  snapshot: {
    ...{ version: 1, digest: "d", transport: { name: "hub" } },
    ...{
      receiveConnectors: [],
      sendConnectors: [],
      acceptedDomains: [],
      rules: [{ name: "a" }, { name: "b" }],
    },
  },
  secrets: new Map([["default/s", { key: "k" }]]),
} as unknown as Configuration;

/** A thread whose share tells what it has, and does what the digest says. */
const CODE = `
import { parentPort, workerData } from "node:worker_threads";
import { serveShare } from ${JSON.stringify(new URL("./thread-share.ts", import.meta.url).href)};
const note = [];
serveShare(parentPort, async () => {
  if (workerData.fails) throw new Error("the folder is in use");
  let inForce;
  return {
    async prepare({ snapshot, secrets }) {
      if (snapshot.digest === "refused") throw new Error("cannot be built");
      if (snapshot.digest === "throws") setTimeout(() => { throw new Error("broken beyond repair"); });
      if (snapshot.digest === "exits") process.exit(3);
      if (snapshot.digest === "throws") await new Promise(() => {});
      return { diagnostics: [], async take() { inForce = { snapshot, secrets }; }, async drop() {} };
    },
    bindings: () => [{ address: "127.0.0.1", port: inForce.snapshot.rules.length }],
    look: async () => ({ sessions: 0, queues: [{ queue: inForce.secrets.get("default/s").key, messages: 0 }] }),
    close: async () => {},
  };
});
`;
const ENTRY = new URL(`data:text/javascript,${encodeURIComponent(CODE)}`);

let share: Share | undefined;
afterEach(async () => {
  await share?.close().catch(() => {});
  share = undefined;
});

function runScript(...args: readonly string[]): Promise<{ readonly code: unknown; readonly stdout: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, ["--input-type=module", "-e", ...args], (error, stdout) =>
      resolve({ code: error?.code, stdout }),
    );
  });
}

function withDigest(digest: string): Configuration {
  return { ...CONFIGURATION, snapshot: { ...CONFIGURATION.snapshot, digest } };
}

describe("a share in a thread", () => {
  test("has in force what was taken, and nothing of what was dropped or refused", async () => {
    share = await openThreadShare({ entry: ENTRY, data: {}, name: "worker 1" });
    await (await share.prepare(CONFIGURATION)).take();
    const fewer = { ...CONFIGURATION.snapshot, rules: CONFIGURATION.snapshot.rules.slice(1) };
    await (await share.prepare({ ...CONFIGURATION, snapshot: fewer })).drop();
    await expect(share.prepare(withDigest("refused"))).rejects.toThrow("cannot be built");
    expect(share.bindings()).toEqual([{ address: "127.0.0.1", port: 2 }]);
    await (
      await share.prepare({ snapshot: fewer, secrets: new Map([["default/s", { key: "new" }]]) })
    ).take();
    expect(share.bindings()).toEqual([{ address: "127.0.0.1", port: 1 }]);
    expect((await share.look()).queues).toEqual([{ queue: "new", messages: 0 }]);
  });

  test("that cannot be opened says why, and its thread is gone", async () => {
    const lost: Error[] = [];
    const options = {
      entry: ENTRY,
      data: { fails: true },
      name: "worker 1",
      onLost: (e: Error) => lost.push(e),
    };
    await expect(openThreadShare(options)).rejects.toThrow("the folder is in use");
    expect(lost).toEqual([]);
  });

  test.each([
    { name: "by an uncaught error", digest: "throws", says: "broken beyond repair" },
    { name: "by itself", digest: "exits", says: "exit code 3" },
  ])("that ends $name is told with its cause, once, and answers no more", async ({ digest, says }) => {
    const lost: Error[] = [];
    share = await openThreadShare({
      ...{ entry: ENTRY, data: {}, name: "worker 7" },
      onLost: (error) => lost.push(error),
    });
    await expect(share.prepare(withDigest(digest))).rejects.toThrow("The thread of worker 7 ended");
    await expect(share.look()).rejects.toThrow("ended");
    await eventually(() => lost.length > 0);
    expect(lost.map(({ message }) => message.includes(says))).toEqual([true]);
  });

  test("that is lost, and nobody asked to hear of it, ends the process as an uncaught error does", async () => {
    const script = `
      process.on("uncaughtException", (error) => { console.log(error.message.split("\\n")[0]); process.exit(70); });
      const { openThreadShare } = await import(process.argv[1]);
      const share = await openThreadShare({ entry: new URL(process.argv[2]), data: {}, name: "worker 2" });
      await share.prepare(${JSON.stringify(withDigest("throws"))}).catch(() => {});
      setInterval(() => {}, 1000);
    `.replace('"secrets":{}', '"secrets":new Map()');
    const url = new URL("./thread-share.ts", import.meta.url).href;
    const { code, stdout } = await runScript(script, url, ENTRY.href);
    expect([code, stdout]).toEqual([70, "The thread of worker 2 ended: Error: broken beyond repair\n"]);
  });

  test("that is closed is not lost", async () => {
    const lost: Error[] = [];
    const options = { entry: ENTRY, data: {}, name: "worker 1", onLost: (e: Error) => lost.push(e) };
    const one = await openThreadShare(options);
    await Promise.all([one.close(), one.close()]);
    expect(lost).toEqual([]);
  });
});
