/** The one admission policy: a pod writes the status of its own TransportPod and of no other. Cluster-scoped. Pure. */
import { GROUP, VERSION } from "../crds/common.ts";
import type { DesiredObject } from "./desired-types.ts";
import { labelsOf } from "./labels.ts";

export const POLICY_NAME = "postroom-transport-pods";

const API_VERSION = "admissionregistration.k8s.io/v1";
/** The API server knows it from a token that is bound to a pod. */
const POD_NAME = "authentication.kubernetes.io/pod-name";

/** RBAC cannot say this: all pods of a transport share one ServiceAccount. */
export function admissionObjects(): DesiredObject[] {
  const { "app.kubernetes.io/instance": _, ...labels } = labelsOf("");
  const metadata = { name: POLICY_NAME, labels };
  return [
    {
      apiVersion: API_VERSION,
      kind: "ValidatingAdmissionPolicy",
      metadata,
      spec: {
        failurePolicy: "Fail",
        matchConstraints: { resourceRules: [rule("transportpods/status"), rule("transportpods")] },
        variables: [
          {
            name: "isStatus",
            expression: "has(request.subResource) && request.subResource == 'status'",
          },
          {
            name: "account",
            expression: "'system:serviceaccount:' + object.metadata.namespace + ':' + object.spec.transport",
          },
          {
            name: "isPod",
            expression: `request.userInfo.username == variables.account && has(request.userInfo.extra) && '${POD_NAME}' in request.userInfo.extra && request.userInfo.extra['${POD_NAME}'][0] == object.metadata.name`,
          },
        ],
        validations: [
          {
            expression: "!variables.isStatus || variables.isPod",
            messageExpression:
              "'the status of TransportPod ' + object.metadata.name + ' is written by the pod of this name only'",
            reason: "Forbidden",
          },
          {
            expression: "variables.isStatus || request.userInfo.username != variables.account",
            message: "a transport pod writes nothing but the status of its own TransportPod",
            reason: "Forbidden",
          },
        ],
      },
    },
    {
      apiVersion: API_VERSION,
      kind: "ValidatingAdmissionPolicyBinding",
      metadata,
      spec: { policyName: POLICY_NAME, validationActions: ["Deny"] },
    },
  ];
}

function rule(resource: string) {
  return {
    apiGroups: [GROUP],
    apiVersions: [VERSION],
    operations: ["CREATE", "UPDATE"],
    resources: [resource],
    scope: "Namespaced",
  };
}
