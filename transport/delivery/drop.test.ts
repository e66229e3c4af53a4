import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { deliveryBench, recipient, resultsOf, sendConnector } from "../../test/helpers/delivery.ts";
import { mountSmallDisk } from "../../test/helpers/small-disk.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "postroom-drop-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const connector = sendConnector({ routing: { type: "Drop", directory: "outbound", smartHosts: [] } });

describe("deliver(), Drop", () => {
  test("one file holds sender, receivers, Return-Path and the message as it is", async () => {
    const { send, close } = deliveryBench({ dropDirectory: folder });
    const to = [
      recipient("ann@x.example", { notify: ["NEVER"], orcpt: "rfc822;a b" }),
      recipient("bob@x.example"),
    ];
    const result = await send(connector, {
      to,
      id: "ID1",
      body: ".\r\nx",
      envelope: { envid: "e=1", ret: "FULL", bodyType: "8BITMIME" },
    });
    expect(resultsOf(result)).toEqual(["delivered 2.0.0", "delivered 2.0.0"]);
    expect(await readFile(join(folder, "outbound", "ID1.eml"), "latin1")).toBe(
      [
        "X-Sender: <sender@contoso.example> BODY=8BITMIME RET=FULL ENVID=e+3D1",
        "X-Receiver: <ann@x.example> NOTIFY=NEVER ORCPT=rfc822;a+20b",
        "X-Receiver: <bob@x.example>",
        "Return-Path: <sender@contoso.example>",
        "Subject: test",
        "",
        ".",
        "x",
      ].join("\r\n"),
    );
    await close();
  });

  test("a disk that takes only a part of the content keeps no part of the message", async ({ skip }) => {
    const unmount = mountSmallDisk(folder, "64k");
    if (unmount === undefined) return skip("no right to mount a small disk");
    try {
      const { send, close } = deliveryBench({ dropDirectory: folder });
      expect(resultsOf(await send(connector, { id: "BIG", body: "x".repeat(200_000) }))).toEqual([
        "deferred 4.3.1",
      ]);
      expect(await readdir(join(folder, "outbound"))).toEqual([]);
      await close();
    } finally {
      unmount();
    }
  });

  test("a message delivered again replaces its file; two messages are two files; nothing else is left", async () => {
    const { send, close } = deliveryBench({ dropDirectory: folder });
    await send(connector, { id: "A", from: null });
    await send(connector, { id: "A" });
    await send(connector, { id: "../B/\u0000" });
    expect((await readdir(join(folder, "outbound"))).sort()).toEqual([".._B__.eml", "A.eml"]);
    expect(await readdir(folder)).toEqual(["outbound"]);
    await close();
  });

  test("a folder that can't be written to defers and rests the next hop", async () => {
    await writeFile(join(folder, "outbound"), "a file where the folder should be");
    const { send, close } = deliveryBench({ dropDirectory: folder });
    const result = await send(connector);
    expect(resultsOf(result)).toEqual(["deferred 4.3.0"]);
    expect(result.backOffUntil).toBeDefined();
    await close();
  });

  test("a body that breaks off leaves no file", async () => {
    const { send, close } = deliveryBench({
      dropDirectory: folder,
      async *readBody() {
        yield Buffer.from("half");
        throw Object.assign(new Error("gone"), { code: "EIO" });
      },
    });
    expect(resultsOf(await send(connector))).toEqual(["deferred 4.3.0"]);
    expect(await readdir(join(folder, "outbound"))).toEqual([]);
    await close();
  });
});
