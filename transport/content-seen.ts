/** ContentSeen: a message as agents see it from OnEndOfHeaders on: its transaction, and the content that its sink holds. */
import type { HeaderField } from "../mail/header.ts";
import type { Body } from "../mail/message.ts";
import type { MimeSummary } from "../mail/mime.ts";
import type { AgentContent, AgentTransaction } from "./agents/mod.ts";

/** What the sink lets agents do with the content. */
export interface SeenContent {
  /** [] before the header is whole. */
  seenHeader(): readonly HeaderField[];
  replaceHeader(header: readonly HeaderField[]): void;
  /** Throws before the body is whole, as the others do. */
  seenBody(): Body;
  mime(): MimeSummary | Promise<MimeSummary>;
  read(): AsyncIterable<Uint8Array>;
  strip(paths: readonly string[], note: string): Promise<void>;
}

export class ContentSeen implements AgentContent {
  readonly session: AgentTransaction["session"];
  readonly envelope: AgentTransaction["envelope"];
  readonly declaredSize: AgentTransaction["declaredSize"];
  readonly networkMessageId: string;
  readonly stamps: AgentTransaction["stamps"];
  readonly #transaction: AgentTransaction;
  readonly #content: SeenContent;

  constructor(transaction: AgentTransaction, content: SeenContent) {
    this.session = transaction.session;
    this.envelope = transaction.envelope;
    this.declaredSize = transaction.declaredSize;
    this.networkMessageId = transaction.networkMessageId;
    this.stamps = transaction.stamps;
    this.#transaction = transaction;
    this.#content = content;
  }

  get header(): readonly HeaderField[] {
    return this.#content.seenHeader();
  }

  get body(): Body {
    return this.#content.seenBody();
  }

  stamp(name: string, value: string): void {
    this.#transaction.stamp(name, value);
  }

  setHeader(header: readonly HeaderField[]): void {
    this.#content.replaceHeader(header);
  }

  mime(): MimeSummary | Promise<MimeSummary> {
    return this.#content.mime();
  }

  read(): AsyncIterable<Uint8Array> {
    return this.#content.read();
  }

  stripAttachments(paths: readonly string[], note: string): Promise<void> {
    return this.#content.strip(paths, note);
  }
}
