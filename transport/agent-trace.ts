/** AgentTrace: what is told of an agent's run. */
import type { Metrics } from "../lib/metrics.ts";
import { formatReply } from "../mail/reply.ts";
import type { AgentTrace } from "./agents/mod.ts";
import type { Tracking } from "./tracking.ts";

/** Agents' runs as metrics; verdicts on a message as AGENTINFO. */
export function onAgentTrace(metrics: Metrics, tracking: Tracking): (trace: AgentTrace) => void {
  return (trace) => {
    const { agent, event, verdict, durationMs } = trace;
    metrics.agentRuns.inc({ agent, event, verdict: verdict?.action ?? "pass" });
    metrics.agentSeconds.observe(durationMs / 1000, { agent, event });
    if (verdict === undefined) return;
    const said =
      "reply" in verdict
        ? formatReply(verdict.reply)
        : "reason" in verdict
          ? verdict.reason
          : `tarpit ${verdict.delayMs} ms`;
    tracking.track({
      of: {
        id: trace.messageId,
        // Before MAIL there is no transaction: the session's id ties its events together.
        networkMessageId: trace.networkMessageId || trace.sessionId,
        messageId: "",
        sender: "",
        recipients: [],
      },
      step: {
        event: "AGENTINFO",
        source: "AGENT",
        agent,
        agentEvent: event,
        verdict: verdict.action,
        text: said,
      },
    });
  };
}
