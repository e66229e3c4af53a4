/** Edits: carries out what rules decided about the content of a copy. In: a message. Out: its new header and body, or why not. */
import { addAddressTo, applyDisclaimer, prependSubject, wrapMessage } from "../mail/content.ts";
import { encodeHeaderText } from "../mail/encoded-word.ts";
import { type HeaderField, makeField, removeFields, setField } from "../mail/header.ts";
import type { Body, Message } from "../mail/message.ts";
import { bodyOf, readWhole } from "./content.ts";
import type { ContentEdit } from "./policy/mod.ts";
import type { Queue } from "./queue/mod.ts";

interface Content {
  readonly header: readonly HeaderField[];
  readonly body: Body;
}

type Disclaimer = Extract<ContentEdit, { kind: "disclaimer" }>;

/** Applies the edits in order. A body is read whole only for a disclaimer. */
export async function applyEdits(
  message: Message,
  edits: readonly ContentEdit[],
  queue: Queue,
): Promise<Content | { readonly rejected: string }> {
  let content: Content = { header: message.header, body: message.body };
  for (const edit of edits) {
    if (edit.kind !== "disclaimer") {
      content = { ...content, header: editHeader(content.header, edit) };
      continue;
    }
    const result = await disclaim(content, edit, queue);
    // What an earlier edit made of the body is named by no item; the original is, and discardBody leaves it alone.
    if ("rejected" in result || result.body !== content.body) queue.discardBody(content.body);
    if ("rejected" in result) return result;
    content = result;
  }
  return content;
}

function editHeader(
  header: readonly HeaderField[],
  edit: Exclude<ContentEdit, Disclaimer>,
): readonly HeaderField[] {
  switch (edit.kind) {
    case "setHeader":
      return setField(header, fieldOf(edit));
    case "removeHeader":
      return removeFields(header, edit.name);
    case "prependSubject":
      return prependSubject(header, edit.text);
    case "addAddress":
      return addAddressTo(header, edit.field, edit.address);
  }
}

/** A rule's edit is the same object for every message. */
const fields = new WeakMap<ContentEdit, HeaderField>();

function fieldOf(edit: Extract<ContentEdit, { kind: "setHeader" }>): HeaderField {
  const known = fields.get(edit);
  if (known !== undefined) return known;
  const field = makeField(edit.name, encodeHeaderText(edit.value));
  fields.set(edit, field);
  return field;
}

async function disclaim(
  content: Content,
  edit: Disclaimer,
  queue: Queue,
): Promise<Content | { rejected: string }> {
  const whole = await readWhole(queue, content.body);
  const result = applyDisclaimer(content.header, whole, edit);
  if (result.kind === "changed") return { header: result.header, body: await bodyOf(queue, result.body) };
  if (result.kind === "unchanged" || edit.fallbackAction === "Ignore") return content;
  if (edit.fallbackAction === "Reject")
    return { rejected: "The disclaimer cannot be applied to this message" };
  const wrapped = wrapMessage(content.header, whole, edit);
  return { header: wrapped.header, body: await bodyOf(queue, wrapped.body) };
}
