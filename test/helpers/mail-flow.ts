/**
 * Steady mail to several hosts, a connection a message, and whether all of it arrived.
 *
 *   const flow = startMailFlow({ hosts, port, sink });
 *   ... await flow.end();      // { taken, refused, lost, twice }
 *
 * @module
 */
import { eventually } from "./eventually.ts";
import type { Sink, SinkMessage } from "./sink.ts";
import { openDialogue } from "./smtp-dialogue.ts";

export interface MailFlow {
  /** Messages answered 250 so far. */
  readonly taken: number;
  /** Messages that arrived so far. */
  readonly arrived: number;
  /** X-Mark of the newest message that arrived from each host. */
  marks(): readonly (string | undefined)[];
  /** Ends it, and waits until what was taken has arrived. */
  end(): Promise<FlowOutcome>;
}

export interface FlowOutcome {
  readonly taken: number;
  /** Whatever was not 250: replies, and connections that failed. */
  readonly refused: readonly string[];
  /** Taken, and not arrived within half a minute. */
  readonly lost: number;
  readonly twice: number;
}

export interface MailFlowOptions {
  readonly hosts: readonly (() => Promise<string>)[];
  readonly port: number;
  readonly sink: Sink;
}

const EVERY_MS = 50;
const ARRIVES_WITHIN_MS = 50_000;
let flows = 0;

export function startMailFlow({ hosts, port, sink }: MailFlowOptions): MailFlow {
  flows += 1;
  const name = `flow${flows}`;
  const taken = new Set<string>();
  const refused: string[] = [];
  let isEnding = false;
  let read = 0;
  /** X-Id -> times it came. */
  const arrived = new Map<string, number>();
  const marks = new Map<number, string>();
  const readSink = () => {
    for (const message of sink.messages.slice(read)) {
      const id = fieldOf(message, "X-Id");
      if (id?.startsWith(`${name}.`) !== true) continue;
      arrived.set(id, (arrived.get(id) ?? 0) + 1);
      marks.set(Number(id.split(".")[1]), fieldOf(message, "X-Mark") ?? "");
    }
    read = sink.messages.length;
  };
  const send = async (host: string, id: string) => {
    const client = await openDialogue({ host, port });
    const content = `Subject: test\r\nX-Id: ${id}\r\n\r\nbody\r\n`;
    const reply = await client.send("ann@fabrikam.example", ["bob@contoso.example"], content);
    client.close();
    if (!reply.startsWith("250")) throw new Error(reply);
    taken.add(id);
  };
  const loops = hosts.map(async (host, index) => {
    for (let count = 0; !isEnding; count += 1) {
      const id = `${name}.${index}.${count}`;
      await host()
        .then((address) => send(address, id))
        .catch((fault: Error) => refused.push(`${id}: ${fault.message}`));
      await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
    }
  });
  return {
    get taken() {
      return taken.size;
    },
    get arrived() {
      readSink();
      return arrived.size;
    },
    marks() {
      readSink();
      return hosts.map((_, index) => marks.get(index));
    },
    async end() {
      isEnding = true;
      await Promise.all(loops);
      const lost = () => {
        readSink();
        return [...taken].filter((id) => !arrived.has(id)).length;
      };
      await eventually(() => lost() === 0, ARRIVES_WITHIN_MS).catch(() => {});
      const twice = [...arrived.values()].filter((times) => times > 1).length;
      return { taken: taken.size, refused, lost: lost(), twice };
    },
  };
}

function fieldOf({ content }: SinkMessage, name: string): string | undefined {
  const text = content.toString("latin1");
  return new RegExp(`^${name}: (.*)\r$`, "im").exec(text.slice(0, text.indexOf("\r\n\r\n") + 2))?.[1];
}
