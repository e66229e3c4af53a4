/**
 * Postroom in a played cluster of its own: API server, operator, one namespace with a node; and a hand to write and read objects.
 *
 *   const mail = await startPostroom();
 *   await mail.apply("MailTransport", "hub", { hostname: "mx.contoso.example", replicas: 2 });
 *   await mail.isReady("MailTransport", "hub");
 *   await mail.condition("ReceiveConnector", "internet", "Programmed");
 *   const client = await mail.dial("hub-0", 2525);
 *   await mail.stop();
 *
 * @module
 */
import { connect } from "node:net";
import { isDeepStrictEqual } from "node:util";
import type { Condition } from "../../crds/conditions.ts";
import { objectKey, RESOURCES, type ResourceName, resourcePath } from "../../lib/kube/paths.ts";
import { type ApiServer, installCrds, startApiServer } from "./api-server.ts";
import { type PlayedCluster, playCluster, type RunningPod } from "./cluster-actors.ts";
import { eventually } from "./eventually.ts";
import { installOperatorAccess, type OperatorAccount } from "./install.ts";
import { type OperatorProcess, startOperator } from "./operator-process.ts";
import { type Run, run } from "./run.ts";
import { type Dialogue, openDialogue } from "./smtp-dialogue.ts";
import { unless, versionOf } from "./stateful-sets.ts";

// biome-ignore lint/suspicious/noExplicitAny: tests look into objects of every kind.
type Any = any;

export interface Postroom {
  readonly server: ApiServer;
  readonly account: OperatorAccount;
  readonly namespace: string;
  readonly cluster: PlayedCluster;
  /** The one that runs now. */
  readonly operator: OperatorProcess;
  /** Ends the operator as SIGTERM does and starts another one, with other flags if given. */
  upgrade(args?: readonly string[]): Promise<void>;
  /** The whole spec: a field that is left out goes. `namespace`: another one. */
  apply(kind: ResourceName, name: string, spec: object, namespace?: string): Promise<Any>;
  /** A merge patch of the object. */
  patch(kind: ResourceName, name: string, body: object, namespace?: string): Promise<Any>;
  get(kind: ResourceName, name: string, namespace?: string): Promise<Any>;
  /** undefined: there is none. */
  find(kind: ResourceName, name: string, namespace?: string): Promise<Any>;
  list(kind: ResourceName, namespace?: string): Promise<Any[]>;
  remove(kind: ResourceName, name: string, namespace?: string): Promise<void>;
  /** kubernetes.io/tls, or of whatever keys. */
  secret(name: string, data: Readonly<Record<string, string>>, type?: string): Promise<void>;
  /** undefined: it is not there, or not yet said of the object as it stands. */
  conditionNow(
    kind: ResourceName,
    name: string,
    type: string,
    namespace?: string,
  ): Promise<Condition | undefined>;
  /** Waits until the condition is as wanted, of the object as it stands. */
  condition(
    kind: ResourceName,
    name: string,
    wanted: Partial<Condition> & { readonly namespace?: string | undefined },
  ): Promise<Condition>;
  isReady(kind: ResourceName, name: string, namespace?: string): Promise<Condition>;
  /** "kind/namespace/name" -> resourceVersion (of StatefulSets all but the status) of every object but Leases: what differs was written to. */
  versions(): Promise<ReadonlyMap<string, string>>;
  /** SMTP to a pod, EHLO said. */
  dial(pod: string, port: number): Promise<Dialogue>;
  /** Whether a pod takes connections there. */
  listens(pod: string, port: number): Promise<boolean>;
  pod(name: string): RunningPod;
  kubectl(...args: readonly string[]): Promise<Run>;
  stop(): Promise<void>;
}

const WAIT_MS = 150_000;

export async function startPostroom({ args }: { readonly args?: readonly string[] } = {}): Promise<Postroom> {
  const server = await startApiServer();
  await installCrds(server);
  const account = await installOperatorAccess(server);
  let operator = await startOperator({ server, account, args });
  const namespace = await server.namespace("mail");
  const cluster = await playCluster({ server, namespace });
  const hand = objectsOf(server, namespace);
  const pod = (name: string): RunningPod => {
    const found = cluster.pod(name);
    if (found === undefined) throw new Error(`There is no pod ${name}`);
    return found;
  };
  return {
    server,
    account,
    namespace,
    cluster,
    get operator() {
      return operator;
    },
    async upgrade(next = []) {
      await operator.process.kill("SIGTERM");
      operator = await startOperator({ server, account, args: next });
    },
    ...hand,
    ...conditionsOf(hand, () => operator.process.tail(30)),
    dial: (name, port) => openDialogue({ host: pod(name).place.address, port }),
    versions: () => versionsOf(server),
    listens: (name, port) => takesConnections(pod(name).place.address, port),
    pod,
    kubectl: (...words) =>
      run("kubectl", ["--kubeconfig", server.kubeconfigPath, "-n", namespace, ...words], {
        timeoutMs: 60_000,
      }),
    async stop() {
      await operator.process.kill("SIGKILL");
      await cluster.stop();
      await server.stop();
    },
  };
}

type Objects = Pick<Postroom, "apply" | "patch" | "get" | "find" | "list" | "remove" | "secret">;

function objectsOf({ admin }: ApiServer, home: string): Objects {
  const pathOf = (kind: ResourceName, name: string | undefined, namespace: string) =>
    resourcePath(RESOURCES[kind], RESOURCES[kind].namespaced ? { namespace, name } : { name });
  const objects: Objects = {
    apply(kind, name, spec, namespace = home) {
      const body = JSON.stringify({ ...typeOf(kind), metadata: { name }, spec });
      return admin("PATCH", `${pathOf(kind, name, namespace)}?fieldManager=test&force=true`, {
        body,
        contentType: "application/apply-patch+yaml",
      });
    },
    patch: (kind, name, body, namespace = home) => admin("PATCH", pathOf(kind, name, namespace), { body }),
    get: (kind, name, namespace = home) => admin("GET", pathOf(kind, name, namespace)),
    find: (kind, name, namespace = home) => objects.get(kind, name, namespace).catch(unless("NotFound")),
    list: async (kind, namespace = home) => (await admin("GET", pathOf(kind, undefined, namespace))).items,
    async remove(kind, name, namespace = home) {
      await admin("DELETE", pathOf(kind, name, namespace));
    },
    async secret(name, stringData, type = "kubernetes.io/tls") {
      const body = JSON.stringify({ ...typeOf("Secret"), metadata: { name }, type, stringData });
      await admin("PATCH", `${pathOf("Secret", name, home)}?fieldManager=test&force=true`, {
        body,
        contentType: "application/apply-patch+yaml",
      });
    },
  };
  return objects;
}

function typeOf(kind: ResourceName) {
  const { group, version } = RESOURCES[kind];
  return { apiVersion: group === "" ? version : `${group}/${version}`, kind };
}

type Conditions = Pick<Postroom, "conditionNow" | "condition" | "isReady">;

function conditionsOf({ get }: Objects, tail: () => string): Conditions {
  const conditions: Conditions = {
    async conditionNow(kind, name, type, namespace) {
      const { metadata, status } = await get(kind, name, namespace);
      const found = status?.conditions?.find((one: Condition) => one.type === type);
      return found?.observedGeneration === metadata.generation ? found : undefined;
    },
    async condition(kind, name, { namespace, ...wanted }) {
      let last: unknown;
      const fits = async () => {
        last = (await get(kind, name, namespace)).status;
        const found = await conditions.conditionNow(kind, name, wanted.type ?? "Ready", namespace);
        return found !== undefined && isDeepStrictEqual({ ...found, ...wanted }, found) ? found : undefined;
      };
      return eventually(fits, WAIT_MS).catch((cause: unknown) => {
        const status = JSON.stringify(last, undefined, 1);
        throw new Error(
          `${kind} ${name} never got ${JSON.stringify(wanted)}, it has ${status}\n${cause}\n${tail()}`,
        );
      });
    },
    isReady: (kind, name, namespace) =>
      conditions.condition(kind, name, { type: "Ready", status: "True", namespace }),
  };
  return conditions;
}

async function versionsOf({ admin }: ApiServer): Promise<Map<string, string>> {
  const types = Object.values(RESOURCES).filter(({ kind }) => kind !== "Lease");
  const versions = new Map<string, string>();
  for (const type of types) {
    const path = resourcePath(type);
    for (const object of (await admin("GET", path)).items)
      versions.set(`${type.kind}/${objectKey(object.metadata)}`, versionOf(path, object));
  }
  return versions;
}

function takesConnections(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, host, () => resolve(true));
    socket.once("error", () => resolve(false));
    socket.once("close", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}
