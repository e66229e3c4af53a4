/** What the pods of a transport may do at the API server: a ServiceAccount, a Role, its binding. Pure. */
import { GROUP } from "../crds/common.ts";
import type { DesiredObject } from "./desired-types.ts";
import { podName } from "./labels.ts";

const RBAC = "rbac.authorization.k8s.io";

export interface Access {
  readonly keysSecrets: readonly string[];
  readonly replicas: number;
}

export function accessObjects(transport: string, access: Access): DesiredObject[] {
  return [
    {
      apiVersion: "v1",
      kind: "ServiceAccount",
      metadata: { name: transport },
      // The pod mounts a token of its own.
      automountServiceAccountToken: false,
    },
    {
      apiVersion: `${RBAC}/v1`,
      kind: "Role",
      metadata: { name: transport },
      rules: rules(transport, access),
    },
    {
      apiVersion: `${RBAC}/v1`,
      kind: "RoleBinding",
      metadata: { name: transport },
      roleRef: { apiGroup: RBAC, kind: "Role", name: transport },
      subjects: [{ kind: "ServiceAccount", name: transport }],
    },
  ];
}

/** An empty resourceNames would mean every name: a rule that has none to give is left out. */
function rules(transport: string, { keysSecrets, replicas }: Access) {
  const pods = Array.from({ length: replicas }, (_, ordinal) => podName(transport, ordinal));
  return [
    rule("transportsnapshots", ["get", "list", "watch"], [transport]),
    // Named by content, so by no list of names; without list, only who knows a digest can ask for it.
    { apiGroups: [GROUP], resources: ["snapshotchunks"], verbs: ["get"] },
    ...(pods.length === 0
      ? []
      : [
          rule("transportpods", ["get", "list", "watch"], pods),
          // Each its own only: admission.ts.
          rule("transportpods/status", ["patch"], pods),
        ]),
    ...(keysSecrets.length === 0
      ? []
      : [{ apiGroups: [""], resources: ["secrets"], verbs: ["get"], resourceNames: keysSecrets }]),
  ];
}

function rule(resource: string, verbs: readonly string[], resourceNames: readonly string[]) {
  return { apiGroups: [GROUP], resources: [resource], verbs, resourceNames };
}
