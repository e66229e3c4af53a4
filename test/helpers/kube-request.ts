/** What a request to the Kubernetes API is, from its method and URL: RBAC's verb and the resource. */
import { resourceOfPath } from "../../lib/kube/paths.ts";

export interface KubeRequest {
  /** get, list, watch, create, update, patch, delete, deletecollection. */
  readonly verb: string;
  /** "transportrules/status"; for what is no resource its path. */
  readonly resource: string;
  readonly path: string;
}

const VERBS: Readonly<Record<string, readonly [named: string, unnamed: string]>> = {
  GET: ["get", "list"],
  POST: ["create", "create"],
  PUT: ["update", "update"],
  PATCH: ["patch", "patch"],
  DELETE: ["delete", "deletecollection"],
};

export function readKubeRequest(method: string, url: string): KubeRequest {
  const { pathname: path, searchParams } = new URL(url, "https://server");
  const resource = resourceOfPath(path);
  const [named, unnamed] = VERBS[method] ?? [method.toLowerCase(), method.toLowerCase()];
  const isWatch = method === "GET" && ["1", "true"].includes(searchParams.get("watch") ?? "");
  const verb = isWatch ? "watch" : isNamed(path) ? named : unnamed;
  return { verb, resource: resource === "none" ? path : resource, path };
}

function isNamed(path: string): boolean {
  const [root, ...rest] = path.split("/").slice(1);
  if (root !== "api" && root !== "apis") return true;
  const inside = rest.slice(root === "api" ? 1 : 2);
  const place = inside[0] === "namespaces" && inside.length > 2 ? inside.slice(2) : inside;
  return place.length > 1;
}
