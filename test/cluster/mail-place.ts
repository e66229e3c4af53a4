/**
 * A transport with a next hop in a namespace of its own, as tests that disturb it need one.
 *
 *   const mail = await openMailPlace(cluster, { namespace: "rolling", replicas: 3 });
 *   const load = await mail.load({ messages: 5000, rate: 30 });
 *
 * @module
 */
import { type CertificateAndKey, makeCertificate } from "../../lib/certificate.ts";
import { eventually } from "../helpers/eventually.ts";
import { openDialogue } from "../helpers/smtp-dialogue.ts";
import { type Cluster, NODE_ADDRESS, nodePort, transportReady } from "./cluster.ts";
import { type MailLoad, startMailLoad } from "./mail-load.ts";
import { type Sink, startSink } from "./sink.ts";

const WAIT_MS = 180_000;

export interface MailPlace {
  readonly namespace: string;
  readonly sink: Sink;
  /** In this namespace. */
  kubectl(...args: readonly string[]): Promise<string>;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into objects of every kind.
  object(name: string): Promise<any>;
  patch(object: string, change: object): Promise<void>;
  /** A TransportRule that marks all mail; X-Mark. */
  mark(value: number): Promise<void>;
  /** Of all pods' TLS. */
  certificate(name: string): Promise<void>;
  /** As all pods serve it over STARTTLS. */
  servedCertificates(): Promise<readonly (string | undefined)[]>;
  /** Names of the transport's pods, in order. */
  pods(): Promise<readonly PodFacts[]>;
  load(options: { messages: number; rate: number }): Promise<MailLoad>;
  /** After its pod was deleted: it has forgotten what came before. */
  reopenSink(): Promise<void>;
  /** kubectl get of all kinds, as an administrator sees it. */
  table(): Promise<string>;
  delete(): Promise<void>;
}

export interface PodFacts {
  readonly name: string;
  readonly uid: string;
  readonly address: string;
  readonly restarts: number;
  readonly isReady: boolean;
}

const manifests = (sinkHost: string, replicas: number) => `
apiVersion: postroom.dev/v1alpha1
kind: MailTransport
metadata: {name: hub}
spec:
  hostname: mx.contoso.example
  replicas: ${replicas}
  service: {type: NodePort}
  queue: {storage: {size: 1Gi}, retryIntervals: [5s]}
---
apiVersion: postroom.dev/v1alpha1
kind: ReceiveConnector
metadata: {name: internet}
spec:
  bindings: [{port: 25}]
  permissionGroups: [AnonymousUsers]
  tls: {certificateRefs: [{name: mx-tls}]}
---
apiVersion: postroom.dev/v1alpha1
kind: AcceptedDomain
metadata: {name: contoso}
spec: {domains: [contoso.example]}
---
apiVersion: postroom.dev/v1alpha1
kind: SendConnector
metadata: {name: mailboxes}
spec:
  addressSpaces: [{domain: contoso.example}]
  routing: {type: SmartHost, smartHosts: [{host: ${sinkHost}}]}
`;

const rule = (value: number) => `
apiVersion: postroom.dev/v1alpha1
kind: TransportRule
metadata: {name: mark}
spec:
  priority: 1
  actions: {setHeader: [{name: X-Mark, value: "${value}"}]}
`;

export async function openMailPlace(
  cluster: Cluster,
  { namespace, replicas }: { namespace: string; replicas: number },
): Promise<MailPlace> {
  await cluster.kubectl("create", "namespace", namespace);
  const sink = await startSink(cluster, namespace);
  const place = new OpenPlace(cluster, namespace, sink);
  await place.certificate("first.contoso.example");
  await place.mark(0);
  await cluster.apply(manifests(sink.host, replicas), namespace);
  await transportReady(cluster, "hub", namespace);
  await eventually(async () => (await place.servedCertificates()).every((name) => name !== undefined));
  return place;
}

class OpenPlace implements MailPlace {
  readonly namespace: string;
  readonly sink: Sink;
  readonly #cluster: Cluster;
  #loads = 0;

  constructor(cluster: Cluster, namespace: string, sink: Sink) {
    this.#cluster = cluster;
    this.namespace = namespace;
    this.sink = sink;
  }

  kubectl(...args: readonly string[]): Promise<string> {
    return this.#cluster.kubectl("--namespace", this.namespace, ...args);
  }

  // biome-ignore lint/suspicious/noExplicitAny: tests look into objects of every kind.
  object(name: string): Promise<any> {
    return this.#cluster.object(name, this.namespace);
  }

  async patch(object: string, change: object): Promise<void> {
    await this.kubectl("patch", object, "--type=merge", "--patch", JSON.stringify(change));
  }

  mark(value: number): Promise<void> {
    return this.#cluster.apply(rule(value), this.namespace);
  }

  async certificate(name: string): Promise<void> {
    const pair = await makeCertificate({ names: [name, "mx.contoso.example"], days: 10 });
    await this.#cluster.apply(JSON.stringify(tlsSecret(pair)), this.namespace);
  }

  async servedCertificates(): Promise<readonly (string | undefined)[]> {
    return Promise.all((await this.pods()).map(({ address }) => servedBy(address)));
  }

  async pods(): Promise<readonly PodFacts[]> {
    const text = await this.kubectl(
      ...["get", "pods", "--output", "json"],
      ...["--selector", "app.kubernetes.io/instance=hub"],
    );
    return JSON.parse(text).items.map(factsOf);
  }

  async load(options: { messages: number; rate: number }): Promise<MailLoad> {
    const port = await nodePort(this.#cluster, "hub", { namespace: this.namespace, port: 25 });
    this.#loads += 1;
    const name = `${this.namespace}${this.#loads}`;
    const load = startMailLoad({ ...options, host: NODE_ADDRESS, port, name });
    await eventually(() => load.accepted > 0, WAIT_MS);
    return load;
  }

  async reopenSink(): Promise<void> {
    await startSink(this.#cluster, this.namespace);
  }

  table(): Promise<string> {
    return this.kubectl("get", "mtr,rcv,snd,adom,trule");
  }

  async delete(): Promise<void> {
    await this.#cluster.kubectl("delete", "namespace", this.namespace, "--wait=false");
  }
}

function tlsSecret({ cert, key }: CertificateAndKey) {
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: "mx-tls" },
    type: "kubernetes.io/tls",
    stringData: { "tls.crt": cert, "tls.key": key },
  };
}

async function servedBy(host: string): Promise<string | undefined> {
  const dialogue = await openDialogue({ host, port: 25 });
  await dialogue.startTls("mx.contoso.example");
  const name = dialogue.certificateName();
  dialogue.close();
  return name;
}

interface Pod {
  readonly metadata: { readonly name: string; readonly uid: string };
  readonly status: {
    readonly podIP?: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
    readonly containerStatuses?: readonly { readonly restartCount: number }[];
  };
}

function factsOf({ metadata, status }: Pod): PodFacts {
  const { podIP, conditions = [], containerStatuses = [] } = status;
  return {
    name: metadata.name,
    uid: metadata.uid,
    address: podIP ?? "",
    restarts: containerStatuses.reduce((sum, { restartCount }) => sum + restartCount, 0),
    isReady: conditions.some((one) => one.type === "Ready" && one.status === "True"),
  };
}
