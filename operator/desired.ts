/**
 * Desired: what a MailTransport owns, as it should be, from its spec and its connectors' ports. Pure.
 *
 * Connectors, domains and rules never change the pod template: they reach the pods by the snapshot, and no edit of them
 * restarts one. Only the workload fields of the MailTransport do. docs/decisions/0093.
 *
 * @module
 */
import { accessObjects } from "./access.ts";
import type { Desired, DesiredInput, DesiredObject } from "./desired-types.ts";
import { headlessName, labelsOf, selectorLabels } from "./labels.ts";
import { networkPolicy, portsOf } from "./network.ts";
import { planStorage } from "./storage.ts";
import { HTTP_PORT, statefulSet } from "./workload.ts";

export function desiredObjects(input: DesiredInput): Desired {
  const { transport, keysSecrets, replicas } = input;
  const ports = portsOf([input.snapshot, input.inForce]);
  const { template, growth, faults } = planStorage(transport, input.live, input.claims);
  const own = owned(input);
  return {
    growth,
    faults,
    objects: [
      ...accessObjects(transport.metadata.name, { keysSecrets, replicas }),
      ...(ports === undefined ? [] : [networkPolicy(transport.metadata.name, ports)]),
      headlessService(transport.metadata.name),
      clientService(input, ports?.receive ?? []),
      disruptionBudget(transport.metadata.name),
      statefulSet(input, template),
    ].map(own),
  };
}

/** Gives an object its place, labels and owner. */
function owned({ transport, owner }: DesiredInput): (object: DesiredObject) => DesiredObject {
  const { name, namespace } = transport.metadata;
  return (object) => ({
    ...object,
    metadata: { ...object.metadata, namespace, labels: labelsOf(name), ownerReferences: [owner] },
  });
}

/** Names of the single pods; also of those that are not ready, because a draining pod is still read. */
function headlessService(transport: string): DesiredObject {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: headlessName(transport) },
    spec: {
      clusterIP: "None",
      publishNotReadyAddresses: true,
      selector: selectorLabels(transport),
      ports: [{ name: "http", port: HTTP_PORT, targetPort: HTTP_PORT, protocol: "TCP" }],
    },
  };
}

/** A Service must have a port. Without connectors it is this one, where nobody listens: a balancer keeps its address. */
const DEFAULT_PORT = 25;

function clientService({ transport }: DesiredInput, listening: readonly number[]): DesiredObject {
  const { name } = transport.metadata;
  const { type, annotations, ...balancer } = transport.spec.service;
  const ports = listening.length === 0 ? [DEFAULT_PORT] : listening;
  const { externalTrafficPolicy, loadBalancerClass, loadBalancerSourceRanges } = balancer;
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, ...(Object.keys(annotations).length > 0 && { annotations }) },
    spec: {
      type,
      selector: selectorLabels(name),
      ports: ports.map((port) => ({ name: `smtp-${port}`, port, targetPort: port, protocol: "TCP" })),
      ...(type !== "ClusterIP" && { externalTrafficPolicy }),
      ...(loadBalancerClass !== undefined && { loadBalancerClass }),
      ...(loadBalancerSourceRanges.length > 0 && { loadBalancerSourceRanges }),
    },
  };
}

/** A pod that is not ready serves nobody: it does not hold up the drain of a node. */
function disruptionBudget(transport: string): DesiredObject {
  return {
    apiVersion: "policy/v1",
    kind: "PodDisruptionBudget",
    metadata: { name: transport },
    spec: {
      maxUnavailable: 1,
      unhealthyPodEvictionPolicy: "AlwaysAllow",
      selector: { matchLabels: selectorLabels(transport) },
    },
  };
}
