/**
 * Steady mail as mail servers send it: over kept and fresh connections, with and without TLS, and what failed is tried
 * again over a new connection until it is taken. A program of its own, so that it runs where the client's address is:
 *
 *   const load = startMailLoad({ host, port, messages: 5000, rate: 30, name: "rolling" });
 *   ... const { accepted, faults } = await load.end();   // at least 5,000, and as many more as came until end()
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { guarded } from "../helpers/process-guard.ts";

export interface MailLoadOptions {
  readonly host: string;
  readonly port: number;
  /** At least. */
  readonly messages: number;
  /** A second, at most. */
  readonly rate: number;
  /** Of this load, in its Message-IDs. */
  readonly name: string;
}

/** A transaction, or an attempt to connect for one, that did not end with 250. */
export interface LoadFault {
  /** Unix milliseconds when the attempt began, which may be a while before it was given up. */
  readonly time: number;
  /** What the client waited for: connect, banner, EHLO, STARTTLS, MAIL, RCPT, DATA, end of data. */
  readonly stage: string;
  /** The reply, or why none came. */
  readonly cause: string;
  readonly id: string;
}

export interface LoadResult {
  readonly accepted: readonly string[];
  readonly faults: readonly LoadFault[];
  /** Connections that were opened under TLS, by the name of the certificate. */
  readonly certificates: Readonly<Record<string, number>>;
  readonly connections: number;
  readonly seconds: number;
  /** Longest time of a message from its first attempt to its 250. */
  readonly longestSeconds: number;
}

export interface MailLoad {
  /** Messages answered 250 so far. */
  readonly accepted: number;
  end(): Promise<LoadResult>;
}

export const PROGRAM = `${import.meta.dirname}/mail-load-client.ts`;

export function startMailLoad(options: MailLoadOptions): MailLoad {
  const child: ChildProcess = guarded(
    spawn("ip", ["netns", "exec", "postroom-client", process.execPath, PROGRAM, JSON.stringify(options)], {
      stdio: ["pipe", "pipe", "inherit"],
    }),
  );
  if (child.stdin === null || child.stdout === null) throw new Error("The load has no pipes");
  const { stdin } = child;
  let accepted = 0;
  let result: LoadResult | undefined;
  const closed = once(child, "close");
  createInterface({ input: child.stdout }).on("line", (line) => {
    const said: { accepted: number } | { result: LoadResult } = JSON.parse(line);
    if ("result" in said) result = said.result;
    else accepted = said.accepted;
  });
  return {
    get accepted() {
      return accepted;
    },
    async end() {
      stdin.end();
      await closed;
      if (result === undefined) throw new Error("The load ended without a result");
      return result;
    },
  };
}
