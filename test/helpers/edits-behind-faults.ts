/** Edits while something fails: one object made, one changed, one deleted; and whether mail and statuses say so. */
import { eventually } from "./eventually.ts";
import { type MailCluster, PODS, ruleThatMarks } from "./mail-cluster.ts";
import type { MailFlow } from "./mail-flow.ts";

export interface Edits {
  /** A domain made, the one of the edits before deleted, the rule changed. */
  make(): Promise<void>;
  /** Resolves when pods and statuses show the newest edits; rejects with what is missing. */
  inForce(flow: MailFlow, timeoutMs?: number): Promise<void>;
}

export function beginEdits(mail: MailCluster): Edits {
  let count = 0;
  const domain = (number: number) => `edit${number}.example`;
  const replies = (number: number) => Promise.all(PODS.map((pod) => mail.rcpt(pod, `bob@${domain(number)}`)));
  return {
    async make() {
      count += 1;
      await mail.put("AcceptedDomain", `edit${count}`, { domains: [domain(count)] });
      await mail.put("TransportRule", "mark", ruleThatMarks(String(count)));
      await mail.remove("AcceptedDomain", `edit${count - 1}`);
    },
    async inForce(flow, timeoutMs = 150_000) {
      await eventually(async () => {
        const [made, deleted] = await Promise.all([replies(count), replies(count - 1)]);
        const shown = { made, deleted, marks: flow.marks() };
        const isShown =
          made.every((reply) => reply.startsWith("250")) &&
          deleted.every((reply) => reply.startsWith("550")) &&
          shown.marks.every((mark) => mark === String(count));
        if (isShown) return true;
        throw new Error(`Edits ${count} are not in force: ${JSON.stringify(shown)}`);
      }, timeoutMs);
      await mail.converged(timeoutMs);
    },
  };
}
