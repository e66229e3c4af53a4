/**
 * Admission policies, cluster-scoped: a pod writes the status of its own TransportPod and of no other; a MailTransport is not
 * deleted in the foreground, which would delete its pods before their mail has left. Pure.
 *
 * @module
 */
import { GROUP, VERSION } from "../crds/common.ts";
import type { DesiredObject } from "./desired-types.ts";
import { labelsOf } from "./labels.ts";

export const POLICY_NAME = "postroom-transport-pods";
export const DELETION_POLICY_NAME = "postroom-mail-transports";

const API_VERSION = "admissionregistration.k8s.io/v1";
/** The API server knows it from a token that is bound to a pod. */
const POD_NAME = "authentication.kubernetes.io/pod-name";

export function admissionObjects(): DesiredObject[] {
  return [...policy(POLICY_NAME, statusOfPods()), ...policy(DELETION_POLICY_NAME, deletionOfTransports())];
}

/** RBAC cannot say this: all pods of a transport share one ServiceAccount. */
function statusOfPods(): object {
  const operations = ["CREATE", "UPDATE"];
  return {
    matchConstraints: {
      resourceRules: [rule("transportpods/status", operations), rule("transportpods", operations)],
    },
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
  };
}

/** Foreground: the garbage collector deletes the StatefulSet first, whatever finalizer the MailTransport has. */
function deletionOfTransports(): object {
  return {
    matchConstraints: { resourceRules: [rule("mailtransports", ["DELETE"])] },
    validations: [
      {
        expression:
          "!has(request.options.propagationPolicy) || request.options.propagationPolicy != 'Foreground'",
        message:
          "a MailTransport deleted in the foreground would lose its pods before their mail has left: delete it with --cascade=background (Argo CD: PrunePropagationPolicy=background)",
        reason: "Invalid",
      },
    ],
  };
}

function policy(name: string, spec: object): DesiredObject[] {
  const { "app.kubernetes.io/instance": _, ...labels } = labelsOf("");
  const metadata = { name, labels };
  return [
    {
      apiVersion: API_VERSION,
      kind: "ValidatingAdmissionPolicy",
      metadata,
      spec: { failurePolicy: "Fail", ...spec },
    },
    {
      apiVersion: API_VERSION,
      kind: "ValidatingAdmissionPolicyBinding",
      metadata,
      spec: { policyName: name, validationActions: ["Deny"] },
    },
  ];
}

function rule(resource: string, operations: readonly string[]) {
  return {
    apiGroups: [GROUP],
    apiVersions: [VERSION],
    operations,
    resources: [resource],
    scope: "Namespaced",
  };
}
