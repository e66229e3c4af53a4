/** Bodies of a process that is killed while it writes, lets go and moves: what was finished is whole. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, expect, test } from "vitest";
import { eventually } from "../../test/helpers/eventually.ts";
import { collect } from "../../test/helpers/queue-items.ts";
import { openBodies } from "./bodies.ts";

const limits = { inlineLimit: 1000, segmentOctets: 300_000, deadOctets: 500_000 };

let directory: string;
const children: ChildProcess[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "postroom-bodies-crash-"));
});

afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  rmSync(directory, { recursive: true });
});

/** Writes bodies of random size without end, names those it finished, and lets go of nine in ten. */
function startWriting(named: readonly { name: string; size: number }[]): ChildProcess {
  const program = `
    import { openBodies } from ${JSON.stringify(new URL("./bodies.ts", import.meta.url).href)};
    import { writeSync } from "node:fs";
    const say = (line) => writeSync(1, line + "\\n");
    const bodies = await openBodies({
      ...${JSON.stringify(limits)}, directory: ${JSON.stringify(directory)},
      onDamaged() {}, onFault() {},
    }, ${JSON.stringify(named)});
    let made = 0;
    const work = async () => {
      for (;;) {
        const number = made++;
        const size = 2000 + ((number * 7919) % 60000);
        const writer = bodies.writer();
        await writer.write(Buffer.alloc(size, String(number)));
        const body = await writer.finish();
        bodies.claim(body);
        say("+" + body.name);
        if (number % 10 === 0) continue;
        say("-" + body.name);
        bodies.remove([body.name]);
      }
    };
    await Promise.all(Array.from({ length: 10 }, work));
  `;
  const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.push(child);
  return child;
}

const sizeIn = (name: string) => Number(name.split(".").at(-2));

test("every body that was finished, and not let go, is whole after each kill", async () => {
  const living = new Set<string>();
  const named = () => [...living].map((name) => ({ name, size: sizeIn(name) }));
  for (const linesToHear of [100, 700, 1500]) {
    const child = startWriting(named());
    if (child.stdout === null) throw new Error("The child has no output");
    let heard = 0;
    for await (const line of createInterface({ input: child.stdout })) {
      if (line[0] === "+") living.add(line.slice(1));
      else living.delete(line.slice(1));
      if (++heard === linesToHear) child.kill("SIGKILL");
    }
    const damaged: Error[] = [];
    const bodies = await openBodies(
      { ...limits, directory, onDamaged: (error) => void damaged.push(error), onFault() {} },
      named(),
    );
    for (const { name, size } of named()) {
      const octets = await collect(bodies.read({ kind: "file", name, size }));
      expect(octets.length).toBe(size);
    }
    expect(damaged).toEqual([]);
    await bodies.close();
  }
  expect(living.size).toBeGreaterThan(50);
  const moved = readdirSync(directory).filter((file) => living.has(file));
  expect(moved.length).toBeGreaterThan(0);
  const bodies = await openBodies({ ...limits, directory, onDamaged() {}, onFault() {} }, []);
  await eventually(() => readdirSync(directory).length === 0);
  await bodies.close();
});
