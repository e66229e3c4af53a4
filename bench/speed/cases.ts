/** The matrix: what is sent in which way. Each case differs from the base in one thing. */

export interface Case {
  /** Stands in file names and options. */
  readonly id: string;
  readonly title: string;
  /** Octets of the body. */
  readonly size: number;
  /** Many messages a connection; false: one, then QUIT. */
  readonly kept: boolean;
  readonly clients: number;
  /** Of each message. */
  readonly recipients: number;
  /** STARTTLS on the way in and on the way out. */
  readonly tls: boolean;
  /** Its runs take so many times as long as others: a goal is told by it. */
  readonly longer?: number;
}

const BASE = { size: 4096, kept: true, clients: 50, recipients: 1, tls: false } as const;

export const CASES: readonly Case[] = [
  { ...BASE, id: "kept", title: "4 KiB, 50 clients, connections kept", longer: 3 },
  { ...BASE, id: "one", title: "4 KiB, 50 clients, one message a connection", kept: false, longer: 3 },
  { ...BASE, id: "large", title: "100 KiB, 50 clients, connections kept", size: 102_400, longer: 3 },
  { ...BASE, id: "single", title: "4 KiB, 1 client, connection kept", clients: 1 },
  { ...BASE, id: "crowd", title: "4 KiB, 500 clients, connections kept", clients: 500 },
  {
    ...BASE,
    id: "recipients",
    title: "4 KiB to 50 recipients, 50 clients, connections kept",
    recipients: 50,
  },
  { ...BASE, id: "tls", title: "4 KiB, TLS in and out, 50 clients, connections kept", tls: true },
];

/** Those named, in the order of the matrix; all when none is named. Throws for a name that is none. */
export function casesNamed(ids: readonly string[]): readonly Case[] {
  const unknown = ids.find((id) => !CASES.some((one) => one.id === id));
  if (unknown !== undefined)
    throw new Error(`No case "${unknown}": there are ${CASES.map(({ id }) => id).join(", ")}`);
  return ids.length === 0 ? CASES : CASES.filter(({ id }) => ids.includes(id));
}
