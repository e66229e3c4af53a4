/** `postroom queue`: look at queues and act on messages, while the transport runs or not. */
import { once } from "node:events";
import { type Command, Option } from "commander";
import { systemClock } from "../lib/clock.ts";
import { createLog } from "../lib/log.ts";
import { headerValues } from "../mail/header.ts";
import type { QueueAdmin, QueueFilter, QueueKind } from "../transport/queue/mod.ts";
import { openQueues } from "./queues.ts";
import { type OutputFormat, printRows } from "./table.ts";
import { parseCount, UsageError } from "./usage.ts";

interface CommonOptions {
  readonly state: string;
  readonly output: OutputFormat;
}

interface FilterOptions extends CommonOptions {
  readonly id?: readonly string[];
  readonly queue?: QueueKind;
  readonly nextHop?: string;
}

interface ListOptions extends FilterOptions {
  readonly messages: boolean;
  readonly sender?: string;
  readonly recipient?: string;
  readonly limit: string;
}

const KINDS = ["Submission", "Delivery", "Unreachable", "Poison", "Quarantine"] as const;

export function addQueue(program: Command): void {
  const queue = program
    .command("queue")
    .description("List, show, retry, suspend, resume, remove and export queued mail");
  common(filters(queue.command("list")))
    .description("Queues with their counts; with --messages the messages in them")
    .option("-m, --messages", "list messages", false)
    .option("--sender <address>", "messages from this sender")
    .option("--recipient <address>", "messages to this recipient")
    .option("--limit <n>", "at most so many messages", "100")
    .action(list);
  common(queue.command("show").argument("<id>"))
    .description("One message: envelope, state, header")
    .action(show);
  common(queue.command("export").argument("<id>"))
    .description("The message as .eml on standard output")
    .option("--envelope", "the envelope as JSON instead", false)
    .action(exportMessage);
  changing(queue.command("retry"), "Make messages due now")
    .option(
      "--resubmit",
      "send them through the categorizer again; releases quarantined and poison messages",
      false,
    )
    .action((options) =>
      change(options, (admin, filter) => admin.retry(filter, { resubmit: options.resubmit })),
    );
  changing(queue.command("suspend"), "Keep messages where they are until resumed").action((options) =>
    change(options, (admin, filter) => admin.suspend(filter)),
  );
  changing(queue.command("resume"), "End a suspension").action((options) =>
    change(options, (admin, filter) => admin.resume(filter)),
  );
  changing(queue.command("remove"), "Take messages off the queue for good")
    .option("--with-dsn", "tell the senders (needs the transport to be running)", false)
    .action((options) =>
      change(options, (admin, filter) => admin.remove(filter, { withDsn: options.withDsn })),
    );
}

function common(command: Command): Command {
  return command
    .option("--state <dir>", "state folder of the transport", ".state/contoso")
    .addOption(
      new Option("-o, --output <format>", "output format").choices(["table", "json"]).default("table"),
    );
}

function filters(command: Command): Command {
  return command
    .addOption(new Option("--queue <kind>", "messages of one kind of queue").choices(KINDS))
    .option("--next-hop <key>", "messages of one delivery queue, as `queue list` names it");
}

function changing(command: Command, description: string): Command {
  return common(filters(command.description(description).option("--id <id...>", "internal message ids")));
}

function open({ state }: CommonOptions): QueueAdmin {
  return openQueues(state, {
    clock: systemClock,
    log: createLog({ level: "error", pretty: false }),
  });
}

async function list(options: ListOptions): Promise<void> {
  const admin = open(options);
  try {
    const { queue, nextHop, sender, recipient, messages, output } = options;
    if (!messages && sender === undefined && recipient === undefined) {
      const rows = admin.summary().filter((row) => queue === undefined || row.queue === queue);
      return printRows(output === "json" ? rows : rows.map(asQueueRow), output);
    }
    const given = Object.entries({ queue, nextHop, sender, recipient }).filter(
      ([, value]) => value !== undefined,
    );
    const rows = admin.list({
      ...Object.fromEntries(given),
      limit: parseCount(options.limit, "--limit"),
      offset: 0,
    });
    printRows(output === "json" ? rows : rows.map(asMessageRow), output);
  } finally {
    admin.close();
  }
}

function asQueueRow(row: ReturnType<QueueAdmin["summary"]>[number]) {
  const { queue, nextHop, messages, retrying, suspended, oldest, nextDueAt, lastError } = row;
  return {
    queue,
    "next hop": nextHop,
    messages,
    retrying,
    suspended,
    oldest: age(oldest),
    "next try": until(nextDueAt),
    "last error": lastError,
  };
}

function asMessageRow(row: ReturnType<QueueAdmin["list"]>[number]) {
  const { id, queue, status, sender, recipients, size, receivedAt, attempts, lastError } = row;
  return {
    id,
    queue,
    status,
    sender: sender || "<>",
    recipients,
    size,
    age: age(receivedAt),
    attempts,
    "last error": lastError,
  };
}

function age(since: number | undefined): string {
  return since === undefined ? "" : `${Math.max(0, Math.round((systemClock.now() - since) / 1000))}s`;
}

function until(time: number | undefined): string {
  return time === undefined ? "" : `${Math.max(0, Math.round((time - systemClock.now()) / 1000))}s`;
}

async function show(id: string, options: CommonOptions): Promise<void> {
  const admin = open(options);
  try {
    const item = admin.get(id);
    if (item === undefined) throw new Error(`Message "${id}" is not in the queue`);
    const { message, ...state } = item;
    const { header, body, ...facts } = message;
    const shown = { ...state, ...facts, subject: headerValues(header, "Subject")[0] ?? "", size: body.size };
    process.stdout.write(
      `${JSON.stringify({ ...shown, header: header.map(({ raw }) => raw.trimEnd()) }, null, 2)}\n`,
    );
  } finally {
    admin.close();
  }
}

async function exportMessage(
  id: string,
  options: CommonOptions & { readonly envelope: boolean },
): Promise<void> {
  const admin = open(options);
  try {
    if (options.envelope) {
      const envelope = admin.envelope(id);
      if (envelope === undefined) throw new Error(`Message "${id}" is not in the queue`);
      process.stdout.write(`${JSON.stringify(envelope, null, 2)}\n`);
      return;
    }
    for await (const chunk of admin.export(id)) {
      if (!process.stdout.write(chunk)) await once(process.stdout, "drain");
    }
  } finally {
    admin.close();
  }
}

/** Acts on what the filter names; a filter must name something, so that nobody empties a queue by leaving it out. */
async function change(
  options: FilterOptions,
  act: (admin: QueueAdmin, filter: QueueFilter) => Promise<number>,
): Promise<void> {
  const { id: ids, queue, nextHop } = options;
  const given = Object.entries({ ids, queue, nextHop }).filter(([, value]) => value !== undefined);
  if (given.length === 0) throw new UsageError("Name the messages: --id, --queue or --next-hop");
  const admin = open(options);
  try {
    const count = await act(admin, Object.fromEntries(given));
    process.stdout.write(
      options.output === "json"
        ? `${JSON.stringify({ messages: count })}\n`
        : `${count} ${count === 1 ? "message" : "messages"}\n`,
    );
    if (count === 0) process.exitCode = 1;
  } finally {
    admin.close();
  }
}
