/** Manifests as `kubectl apply -f` would bring them to an API server. */
import * as yaml from "js-yaml";
import { RESOURCES, resourcePath } from "../../lib/kube/paths.ts";
import type { KubeObject } from "../../lib/kube/types.ts";
import type { ApiServer } from "./api-server.ts";

/** Every document of the text, in its order; what names no namespace goes to `namespace`. Rejects with ApiFault. */
export async function applyManifests(
  { admin }: ApiServer,
  text: string,
  namespace = "default",
): Promise<void> {
  for (const manifest of yaml.loadAll(text) as (KubeObject | null)[]) {
    if (manifest === null) continue;
    const type = Object.values(RESOURCES).find(({ kind }) => kind === manifest.kind);
    if (type === undefined) throw new Error(`There is no resource for kind ${manifest.kind}`);
    const { name } = manifest.metadata;
    const home = type.namespaced ? (manifest.metadata.namespace ?? namespace) : undefined;
    await admin("PATCH", `${resourcePath(type, { namespace: home, name })}?fieldManager=kubectl&force=true`, {
      contentType: "application/apply-patch+yaml",
      body: manifest,
    });
  }
}
