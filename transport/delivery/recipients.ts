/** Tally: the recipients of one job: who is still to be sent, and the outcome of each. */
import type { Recipient } from "../../mail/message.ts";
import type { RecipientOutcome } from "./mod.ts";
import { type Answer, outcomeOf, type RemoteTraits, type Verdict } from "./outcome.ts";

export class Tally {
  readonly #recipients: readonly Recipient[];
  readonly #settled = new Map<Recipient, RecipientOutcome>();
  /** What the last host said of those that another may still take. */
  readonly #provisional = new Map<Recipient, RecipientOutcome>();

  constructor(recipients: readonly Recipient[]) {
    this.#recipients = recipients;
  }

  get pending(): readonly Recipient[] {
    if (this.#settled.size === 0) return this.#recipients;
    return this.#recipients.filter((recipient) => !this.#settled.has(recipient));
  }

  get done(): boolean {
    return this.pending.length === 0;
  }

  /** A remote's answer for one recipient. */
  answer(recipient: Recipient, answer: Answer, verdict: Verdict, traits: RemoteTraits): void {
    this.put(outcomeOf(recipient, answer, traits), verdict === "elsewhere" || verdict === "again");
  }

  /** An outcome; provisional: another host may still change it. */
  put(outcome: RecipientOutcome, provisional: boolean): void {
    if (provisional) this.#provisional.set(outcome.recipient, outcome);
    else this.#settled.set(outcome.recipient, outcome);
  }

  /** The same for all that are pending; with `keepDeferred` not for those a host has already deferred. */
  putAll(
    outcome: Omit<RecipientOutcome, "recipient">,
    { provisional, keepDeferred = false }: { provisional: boolean; keepDeferred?: boolean },
  ): void {
    for (const recipient of this.pending) {
      if (keepDeferred && this.#provisional.get(recipient)?.result === "deferred") continue;
      this.put({ recipient, ...outcome }, provisional);
    }
  }

  /** One outcome a recipient, in order. */
  outcomes(): RecipientOutcome[] {
    return this.#recipients.map(
      (recipient) =>
        this.#settled.get(recipient) ??
        this.#provisional.get(recipient) ?? {
          recipient,
          result: "deferred",
          status: "4.4.1",
          text: "no host could be tried",
          remoteMta: "",
        },
    );
  }
}
