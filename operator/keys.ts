/**
 * Keys: certificates, private keys and passwords, copied to an immutable Secret of the transport that its pods read by name.
 *
 * They never enter a chunk. The head carries a digest of them that is keyed by a salt only the Secret holds: a password
 * cannot be guessed from what anybody may read.
 *
 * @module
 */
import { createHmac, randomBytes } from "node:crypto";
import type { KeysRef } from "../crds/delivery-kinds.ts";
import type { KubeObject, OwnerReference } from "../lib/kube/types.ts";
import { canonicalJson, type Secrets } from "../snapshot/mod.ts";
import { labelsOf } from "./labels.ts";

/** What is known of the newest keys Secret. */
export interface HeldKeys {
  readonly ref: KeysRef;
  readonly text: string;
  /** What the text says. */
  readonly secrets: Secrets;
}

/** Canonical text of what the pods need to know. */
export function keysText(secrets: Secrets): string {
  return canonicalJson(Object.fromEntries(secrets));
}

export function keysSecretName(transport: string, number: number): string {
  return `${transport}-keys-${number}`;
}

/** <transport>-keys-7 -> 7. */
export function keysNumber(secret: string): number {
  return Number(/-keys-(\d+)$/.exec(secret)?.[1] ?? 0);
}

/** Makes the Secret that holds `text`. */
export function makeKeysSecret(
  text: string,
  {
    namespace,
    transport,
    number,
    owner,
  }: { namespace: string; transport: string; number: number; owner: OwnerReference },
): { readonly object: KubeObject & { apiVersion: string; kind: string }; readonly ref: KeysRef } {
  const salt = randomBytes(32);
  const name = keysSecretName(transport, number);
  const object = {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name, namespace, labels: labelsOf(transport), ownerReferences: [owner] },
    type: "postroom.dev/keys",
    immutable: true,
    data: { "keys.json": Buffer.from(text).toString("base64"), salt: salt.toString("base64") },
  };
  return { object, ref: { secret: name, digest: keysDigest(text, salt) } };
}

/** Reads one back; undefined: it is none of ours or was changed. */
export function readKeysSecret({ metadata, data }: KubeObject): HeldKeys | undefined {
  const { "keys.json": text, salt } = (data ?? {}) as Record<string, string>;
  if (text === undefined || salt === undefined) return undefined;
  const plain = Buffer.from(text, "base64").toString("utf8");
  const digest = keysDigest(plain, Buffer.from(salt, "base64"));
  const secrets = readKeysText(plain);
  if (secrets === undefined) return undefined;
  return { ref: { secret: metadata.name, digest }, text: plain, secrets };
}

function readKeysText(text: string): Secrets | undefined {
  try {
    return new Map(Object.entries(JSON.parse(text)));
  } catch {
    return undefined;
  }
}

function keysDigest(text: string, salt: Buffer): string {
  return createHmac("sha256", salt).update(text).digest("hex");
}
