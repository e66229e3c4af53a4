/**
 * What a chart installs beside the custom resource definitions: the operator's rights, the admission policy of pods.
 *
 *   await installCrds(server);
 *   const account = await installOperatorAccess(server);
 *   await installAdmission(server);
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as yaml from "js-yaml";
import { admissionObjects } from "../../operator/admission.ts";
import { ApiFault } from "./api-client.ts";
import type { ApiServer } from "./api-server.ts";
import { eventually } from "./eventually.ts";
import { unless } from "./stateful-sets.ts";

export interface OperatorAccount {
  readonly namespace: string;
  readonly serviceAccount: string;
}

const RULES = join(import.meta.dirname, "../../charts/postroom/files/operator-rules.yaml");
const RBAC = "/apis/rbac.authorization.k8s.io/v1";

/** A service account with the rules of charts/postroom/files/operator-rules.yaml in the whole cluster, and nothing else. */
export async function installOperatorAccess(server: ApiServer): Promise<OperatorAccount> {
  const namespace = await server.namespace("operator");
  const name = "postroom-operator";
  const clusterName = namespace;
  await server.admin("POST", `/api/v1/namespaces/${namespace}/serviceaccounts`, {
    body: { metadata: { name } },
  });
  await server.admin("POST", `${RBAC}/clusterroles`, {
    body: { metadata: { name: clusterName }, rules: yaml.load(readFileSync(RULES, "utf8")) },
  });
  await server.admin("POST", `${RBAC}/clusterrolebindings`, {
    body: {
      metadata: { name: clusterName },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: clusterName },
      subjects: [{ kind: "ServiceAccount", name, namespace }],
    },
  });
  return { namespace, serviceAccount: name };
}

/** Resolves when the policy is in force; needs the definitions. */
export async function installAdmission(server: ApiServer): Promise<void> {
  const { admin } = server;
  for (const object of admissionObjects()) {
    const path = `/apis/${object.apiVersion}/${plural(object.kind)}`;
    await admin("POST", path, { body: object }).catch(unless("AlreadyExists"));
  }
  const namespace = await server.namespace("admission");
  const pods = `/apis/postroom.dev/v1alpha1/namespaces/${namespace}/transportpods`;
  await admin("POST", pods, {
    body: {
      apiVersion: "postroom.dev/v1alpha1",
      kind: "TransportPod",
      metadata: { name: "hub-0" },
      spec: { transport: "hub" },
    },
  });
  // The API server hears of a policy a moment later. Even an administrator is no pod.
  await eventually(async () => {
    const answer = await admin("PATCH", `${pods}/hub-0/status`, {
      body: { status: { draining: true } },
    }).catch((fault: unknown) => fault);
    return answer instanceof ApiFault && answer.status === 403;
  });
}

function plural(kind: string): string {
  return kind.endsWith("y") ? `${kind.slice(0, -1).toLowerCase()}ies` : `${kind.toLowerCase()}s`;
}
