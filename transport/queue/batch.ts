/**
 * Batch: changes packed for the worker: flat rows, and the octets of all of them in one buffer that is moved, not copied.
 *
 * Batches that came while the worker committed are one transaction, and each has an answer of its own.
 *
 * @module
 */
import type { Body } from "../../mail/message.ts";
import { encodeHeader, encodeItem } from "./item-codec.ts";
import type { Batch, BatchResult, PackedChange, PackedItem, Span } from "./sqlite-commit.ts";
import type { Change, QueueItem } from "./store.ts";

/** A change, and what the store holds of its items (QueueStore.apply). */
export interface Unpacked {
  readonly change: Change;
  readonly held: ReadonlyMap<string, QueueItem>;
}

/** A batch as it crosses to the worker. */
export interface PackedBatch {
  readonly changes: readonly PackedChange[];
  readonly octets: ArrayBuffer;
  readonly flush: boolean;
}

/** Flat rows, and all header and body octets in one buffer of the batch's own. */
export function packBatch(batch: readonly Unpacked[], { flush }: { flush: boolean }): PackedBatch {
  const pieces: (string | Uint8Array)[] = [];
  let length = 0;
  const span = (octets: string | Uint8Array): Span => {
    pieces.push(octets);
    const start = length;
    length += octets.length;
    return [start, length];
  };
  const pack = (item: QueueItem, held?: QueueItem): PackedItem => {
    const { message } = item;
    return {
      row: encodeItem(item),
      header: message.header === held?.message.header ? null : span(encodeHeader(message)),
      body: message.body === held?.message.body ? null : bodySpan(message.body, span),
    };
  };
  const changes = batch.map(({ change, held }): PackedChange => {
    const { insert, update, amend, remove } = change;
    return {
      insert: insert?.map((item) => pack(item)),
      update: update?.map((item) => pack(item, held.get(item.message.id))),
      amend,
      remove,
    };
  });
  return { changes, octets: joinOctets(pieces, length), flush };
}

/** All of them as one batch, flushed where one of them asks for it. */
export function unpackBatches(batches: readonly PackedBatch[]): Batch {
  const changes = batches.flatMap(({ changes, octets }) => {
    const bytes = new Uint8Array(octets);
    return changes.map((change) => ({ ...change, octets: bytes }));
  });
  return { changes, flush: batches.some(({ flush }) => flush) };
}

/** What came of each of them; the last is told what all of them let go of, when nobody's change is unanswered any more. */
export function splitResult(
  { faults, unnamed, flushed }: BatchResult,
  batches: readonly PackedBatch[],
): BatchResult[] {
  let at = 0;
  return batches.map(({ changes }, index) => {
    const own = faults.slice(at, at + changes.length);
    at += changes.length;
    return { faults: own, unnamed: index === batches.length - 1 ? unnamed : [], flushed };
  });
}

function bodySpan(body: Body, span: (octets: Uint8Array) => Span): Span {
  return body.kind === "inline" ? span(body.bytes) : null;
}

/** Not from Node's pool: the buffer is moved to the worker. */
function joinOctets(pieces: readonly (string | Uint8Array)[], length: number): ArrayBuffer {
  const octets = Buffer.allocUnsafeSlow(length);
  let at = 0;
  for (const piece of pieces) {
    if (typeof piece === "string") octets.write(piece, at, "latin1");
    else octets.set(piece, at);
    at += piece.length;
  }
  return octets.buffer;
}
