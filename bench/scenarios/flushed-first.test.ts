import { describe, expect, test } from "vitest";
import { judge, lineMark, reversePath } from "./flushed-first.ts";

const WAL = "/state/queue/queue.db-wal";
const MESSAGE = { number: 7, clientPort: 50_001, place: 0, lines: 1 };
const GO_ON =
  '11 write(20<TCP:[127.0.0.1:25->127.0.0.1:50001]>, "250 2.1.0 ok\\r\\n354 go on\\r\\n", 30) = 30';
const REPLY = '11 write(20<TCP:[127.0.0.1:25->127.0.0.1:50001]>, "250 2.6.0 queued\\r\\n", 18) = 18';
const ROW = `12 pwrite64(23<${WAL}>, "\\0\\3${reversePath(7)} ${lineMark(7, 0)}", 4120, 32) = 4120`;
const FLUSH = `12 fdatasync(23<${WAL}>) = 0`;

function faultOf(...lines: string[]): string | undefined {
  return judge(lines.join("\n"), [MESSAGE])[0]?.fault;
}

describe("a message is on disk before its 250", () => {
  test.each([
    { name: "when it is written, flushed, answered", lines: [GO_ON, ROW, FLUSH, REPLY], fault: "" },
    {
      name: "not when the flush comes after the reply",
      lines: [GO_ON, ROW, REPLY, FLUSH],
      fault: "1 lines not flushed first",
    },
    {
      name: "not when the flush came before the write",
      lines: [GO_ON, FLUSH, ROW, REPLY],
      fault: "1 lines not flushed first",
    },
    {
      name: "not when the flush failed",
      lines: [GO_ON, ROW, `12 fdatasync(23<${WAL}>) = -1 EIO (Input/output error)`, REPLY],
      fault: "1 lines not flushed first",
    },
    {
      name: "not when another file was flushed",
      lines: [GO_ON, ROW, "12 fdatasync(24</state/queue/queue.db>) = 0", REPLY],
      fault: "1 lines not flushed first",
    },
    {
      name: "not when the flush had not returned yet",
      lines: [
        GO_ON,
        ROW,
        `12 fdatasync(23<${WAL}> <unfinished ...>`,
        REPLY,
        "12 <... fdatasync resumed>) = 0",
      ],
      fault: "1 lines not flushed first",
    },
    {
      name: "when the flush ran beside others and returned in time",
      lines: [
        GO_ON,
        ROW,
        `12 fdatasync(23<${WAL}> <unfinished ...>`,
        "13 fsync(30</elsewhere>) = 0",
        "12 <... fdatasync resumed>) = 0",
        REPLY,
      ],
      fault: "",
    },
    {
      name: "not when the write had not returned before the flush began",
      lines: [
        GO_ON,
        `13 ${ROW.slice(3)
          .replace(/ = 4120$/, "")
          .replace(/\)$/, "")} <unfinished ...>`,
        FLUSH,
        "13 <... pwrite64 resumed>) = 4120",
        REPLY,
      ],
      fault: "1 lines not flushed first",
    },
    { name: "not when it was never written", lines: [GO_ON, FLUSH, REPLY], fault: "row not flushed first" },
    { name: "not known without a reply", lines: [GO_ON, ROW, FLUSH], fault: "no 250 in the trace" },
  ])("$name", ({ lines, fault }) => {
    expect(faultOf(...lines)).toBe(fault);
  });

  test("a new file counts only once its folder is flushed", () => {
    const made = `12 openat(AT_FDCWD</>, "${WAL}", O_RDWR|O_CREAT, 0644) = 23<${WAL}>`;
    const folder = "12 fsync(25</state/queue>) = 0";
    expect(faultOf(made, GO_ON, ROW, FLUSH, REPLY)).toBe("1 lines not flushed first");
    expect(faultOf(made, folder, GO_ON, ROW, FLUSH, REPLY)).toBe("");
  });

  test("a body in a file of its own without its row is not enough", () => {
    const body = `12 write(26</state/bodies/x>, "${lineMark(7, 0)}", 80) = 80`;
    expect(faultOf(GO_ON, body, "12 fsync(26</state/bodies/x>) = 0", REPLY)).toBe("row not flushed first");
  });

  test("the second message of a connection has the second reply", () => {
    const second = { ...MESSAGE, number: 8, place: 1 };
    const row = ROW.replaceAll("envelope-7-", "envelope-8-").replaceAll("<7.", "<8.");
    const trace = [GO_ON, ROW, FLUSH, REPLY, GO_ON, row, REPLY, FLUSH].join("\n");
    expect(judge(trace, [MESSAGE, second]).map(({ fault }) => fault)).toEqual([
      "",
      "1 lines not flushed first",
    ]);
  });
});
