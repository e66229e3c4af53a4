/**
 * Plan: what becomes of one submitted message. The categorizer's decisions in order: resolve, rules, resolve what rules
 * added, route, bifurcate; with the agents' events between. Nothing is done here; `explain` prints the same plan.
 *
 * @module
 */
import type { Message, Recipient } from "../mail/message.ts";
import type { MimeSummary } from "../mail/mime.ts";
import { formatReply } from "../mail/reply.ts";
import type { AgentRouting, Verdict } from "./agents/mod.ts";
import { type Resolution, type Routing, resolveRecipients } from "./categorizer/mod.ts";
import type { Pipeline } from "./pipeline.ts";
import {
  dsnOf,
  type Placed,
  type PlannedCopy,
  placeCopy,
  planned,
  RULES_DONE,
  toDsnRecipient,
  unjudged,
} from "./placement.ts";
import { addressesOf, resolveEvents, ruleEvents, transferEvent } from "./plan-events.ts";
import type { PolicyCopy, PolicyDecision } from "./policy/mod.ts";
import type { QueueItem } from "./queue/mod.ts";
import type { DsnRecipient, DsnRequest } from "./settle.ts";
import { ofMessage, type TrackingEvent } from "./tracking.ts";

export interface Plan {
  /** Set: nothing else counts, try again later. */
  readonly deferReason: string | undefined;
  readonly copies: readonly PlannedCopy[];
  readonly failed: readonly DsnRecipient[];
  readonly dsns: readonly DsnRequest[];
  readonly events: readonly TrackingEvent[];
  readonly logTexts: readonly string[];
  /** For explain. */
  readonly resolution: Resolution | undefined;
  readonly policy: PolicyDecision | undefined;
  readonly routings: readonly Routing[];
}

export interface PlanContext {
  readonly pipeline: Pipeline;
  readonly mime: MimeSummary | undefined;
  /** For agents that ask when the rules need no `mime`. */
  scan?(): Promise<MimeSummary>;
  readonly now: number;
  readonly explain?: boolean;
}

/** Decides everything about one message. Never throws for reasons of the message. */
export async function planMessage(item: QueueItem, context: PlanContext): Promise<Plan> {
  const draft = createDraft(item, context);
  const ended = async (event: "onSubmitted" | "onResolved" | "onRouted" | "onCategorized") => {
    const { agents } = context.pipeline;
    if (!agents.listens(event)) return false;
    const verdict = agents[event](draft.routing());
    return draft.judge(verdict instanceof Promise ? await verdict : verdict);
  };
  if (await ended("onSubmitted")) return draft.plan();
  draft.resolve();
  if (await ended("onResolved")) return draft.plan();
  draft.applyRules();
  if (draft.deferred() || (await ended("onRouted")) || (await ended("onCategorized"))) return draft.plan();
  return draft.plan();
}

/** The plan under construction. */
function createDraft(item: QueueItem, context: PlanContext) {
  const { pipeline } = context;
  const stamps: Record<string, string> = { ...item.message.stamps };
  let recipients: readonly Recipient[] = item.message.envelope.recipients;
  let plan: Plan = EMPTY;
  const mime = mimeOf(context);
  const add = (part: Partial<Plan>) => {
    plan = { ...plan, ...part };
  };

  return {
    plan: () => plan,
    deferred: () => plan.deferReason !== undefined,
    routing: (): AgentRouting => ({
      message: item.message,
      recipients,
      stamp: (name, value) => {
        stamps[name] = value;
        // Agents of the last events stamp copies that are made already.
        const stamped = (copy: PlannedCopy) => ({ ...copy, stamps: { ...copy.stamps, [name]: value } });
        add({ copies: plan.copies.map(stamped) });
      },
      mime,
    }),
    /** True when an agent's verdict ends the categorization. */
    judge(verdict: Verdict): boolean {
      if (verdict === undefined || verdict.action === "tarpit") return false;
      plan = endedBy(verdict, item, { recipients, plan });
      return true;
    },
    resolve() {
      const { domains, snapshot } = pipeline;
      const senderIsInternal = item.message.origin.internal || item.message.origin.connector === "";
      const resolution = resolveRecipients(recipients, {
        domains,
        role: snapshot.transport.role,
        senderIsInternal,
      });
      recipients = resolution.recipients;
      const expanded = resolution.expanded.map((recipient) =>
        dsnOf(recipient, "2.0.0", "Expanded to the members of a group"),
      );
      add({
        resolution,
        failed: resolution.failed.map(toDsnRecipient),
        dsns: expanded.length > 0 ? [{ kind: "expanded", recipients: expanded }] : [],
        events: resolveEvents(item.message, resolution),
      });
    },
    applyRules() {
      const message = { ...item.message, stamps };
      const decision = judgeByRules(message, recipients, context);
      if (decision?.outcome === "defer")
        return add({ policy: decision, deferReason: decision.deferReason ?? "Rule not evaluated" });
      const judged = decision?.copies ?? [unjudged(message, recipients)];
      const { copies, failed, routings, events } = placeAll(message, judged, context);
      add({
        policy: decision,
        copies,
        failed: [...plan.failed, ...failed],
        routings,
        events: [...plan.events, ...ruleEvents(message, decision), ...events],
        logTexts: decision?.logTexts ?? [],
      });
    },
  };
}

/** Mostly there is one. */
function placeAll(message: Message, judged: readonly PolicyCopy[], context: PlanContext): Placed {
  const [first, ...others] = judged.map((copy) => placeCopy(message, copy, context));
  if (first !== undefined && others.length === 0) return first;
  const parts = first === undefined ? [] : [first, ...others];
  return {
    copies: parts.flatMap((part) => part.copies),
    failed: parts.flatMap((part) => part.failed),
    routings: parts.flatMap((part) => part.routings),
    events: parts.flatMap((part) => part.events),
  };
}

const EMPTY: Plan = {
  deferReason: undefined,
  copies: [],
  failed: [],
  dsns: [],
  events: [],
  logTexts: [],
  resolution: undefined,
  policy: undefined,
  routings: [],
};
const NO_MIME: MimeSummary = {
  ...{ parts: [], text: "", textLength: 0 },
  ...{ tooComplex: false, contentType: "text/plain" },
};

/** Our own DSNs and resubmitted messages are not judged (again). */
function judgeByRules(
  message: Message,
  recipients: readonly Recipient[],
  { pipeline, mime, now, explain }: PlanContext,
) {
  if (message.origin.connector === "" || message.stamps[RULES_DONE] !== undefined) return undefined;
  if (recipients.length === 0) return undefined;
  return pipeline.rules.apply({ message, recipients, mime, now }, { explain: explain ?? false });
}

type Ending = Exclude<Verdict, undefined | { readonly action: "tarpit" }>;

/** The plan that an agent's verdict leaves. Who could not be resolved is not among the recipients it is about. */
function endedBy(
  verdict: Ending,
  item: QueueItem,
  { recipients, plan }: { readonly recipients: readonly Recipient[]; readonly plan: Plan },
): Plan {
  if (verdict.action === "defer") return { ...EMPTY, deferReason: formatReply(verdict.reply) };
  const { resolution, dsns } = plan;
  const failed = resolution?.failed.map(toDsnRecipient) ?? [];
  const events = plan.events.filter(({ step }) => step.event !== "TRANSFER");
  const ended: Plan = { ...EMPTY, resolution, dsns, failed, events };
  if (verdict.action === "reject") {
    const { status = "5.7.1", text } = verdict.reply;
    return {
      ...ended,
      failed: [...failed, ...recipients.map((recipient) => dsnOf(recipient, status, String(text)))],
    };
  }
  if (verdict.action === "quarantine") {
    const kept = {
      ...planned(unjudged(item.message, recipients), "Quarantine", undefined, recipients),
      reason: verdict.reason,
    };
    return { ...ended, copies: [kept], events: [...events, transferEvent(item.message, kept)] };
  }
  const dropped: TrackingEvent = {
    of: ofMessage(item.message),
    recipients: addressesOf(recipients),
    step: { event: "DROP", source: "AGENT", text: verdict.reason },
  };
  return { ...ended, events: [...events, dropped] };
}

/** The summary at hand, or made once when an agent asks. */
function mimeOf({ mime, scan }: PlanContext): () => Promise<MimeSummary> {
  let scanned: Promise<MimeSummary> | undefined;
  return async () => {
    scanned ??= mime === undefined ? scan?.() : Promise.resolve(mime);
    return (await scanned) ?? NO_MIME;
  };
}
