/** The values of charts/postroom-transport; every spec is that of its kind, checked by the kind's own schema. */
import { z } from "zod";
import type { Kind } from "../crds/mod.ts";
import { extraObjects, texts } from "./chart-values.ts";

/** Where chart-docs.ts puts the schema of a kind's spec. */
export const SPEC_OF = "x-postroom-spec-of";

const spec = (kind: Kind) => z.record(z.string(), z.unknown()).meta({ [SPEC_OF]: kind });

const objects = (kind: Kind, what: string) =>
  z
    .record(z.string(), spec(kind))
    .describe(`${what}: name to spec of one ${kind}. A name whose value is null is left out.`);

export const TransportChartValues = z.strictObject({
  labels: texts("Further labels of every object."),
  transport: z
    .strictObject({
      name: z.string().max(52).default("").describe("Empty: the release's name."),
      spec: spec("MailTransport").default({}).describe("Spec of the MailTransport; `hostname` is required."),
    })
    .prefault({})
    .describe("The MailTransport."),
  receiveConnectors: objects("ReceiveConnector", "Who may connect").default({
    internet: { bindings: [{ port: 25 }], permissionGroups: ["AnonymousUsers"] },
  }),
  sendConnectors: objects("SendConnector", "Where mail goes").default({
    internet: {
      addressSpaces: [{ domain: "*", cost: 10 }],
      routing: { type: "MX" },
      tls: { mode: "Opportunistic" },
    },
  }),
  acceptedDomains: objects("AcceptedDomain", "For which domains mail is taken").default({}),
  transportRules: objects("TransportRule", "Conditions and actions on every message").default({}),
  extraObjects,
});
