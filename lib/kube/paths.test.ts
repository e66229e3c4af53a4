import { describe, expect, test } from "vitest";
import { KINDS } from "../../crds/mod.ts";
import {
  apiVersion,
  objectKey,
  RESOURCES,
  type ResourcePlace,
  resourceOfPath,
  resourcePath,
} from "./paths.ts";
import type { ResourceType } from "./types.ts";

describe("resourcePath()", () => {
  test.each<{ name: string; type: ResourceType; place?: ResourcePlace; want: string }>([
    {
      name: "an object of the core group",
      type: RESOURCES.Secret,
      place: { namespace: "mail", name: "hub" },
      want: "/api/v1/namespaces/mail/secrets/hub",
    },
    {
      name: "the status of an object of ours",
      type: RESOURCES.TransportRule,
      place: { namespace: "mail", name: "r", subresource: "status" },
      want: "/apis/postroom.dev/v1alpha1/namespaces/mail/transportrules/r/status",
    },
    {
      name: "the collection of all namespaces",
      type: RESOURCES.NetworkPolicy,
      want: "/apis/networking.k8s.io/v1/networkpolicies",
    },
    {
      name: "what is cluster-scoped",
      type: RESOURCES.ValidatingAdmissionPolicy,
      place: { name: "p" },
      want: "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/p",
    },
    {
      name: "a name that would leave its place is escaped",
      type: RESOURCES.Role,
      place: { namespace: "mail", name: "a/../b?c" },
      want: "/apis/rbac.authorization.k8s.io/v1/namespaces/mail/roles/a%2F..%2Fb%3Fc",
    },
  ])("$name", ({ type, place, want }) => {
    expect(resourcePath(type, place)).toBe(want);
  });

  test.each<{ name: string; type: ResourceType; place: ResourcePlace; want: string }>([
    {
      name: "an empty name, which would name all",
      type: RESOURCES.Secret,
      place: { namespace: "mail", name: "" },
      want: 'its name is ""',
    },
    {
      name: "an empty namespace",
      type: RESOURCES.Secret,
      place: { namespace: "", name: "a" },
      want: 'its namespace is ""',
    },
    { name: "a step up", type: RESOURCES.Namespace, place: { name: ".." }, want: 'its name is ".."' },
    {
      name: "a name without a namespace",
      type: RESOURCES.Pod,
      place: { name: "a" },
      want: "namespace is missing",
    },
    {
      name: "a namespace where there is none",
      type: RESOURCES.Namespace,
      place: { namespace: "a" },
      want: "have no namespace",
    },
    {
      name: "a subresource of nothing",
      type: RESOURCES.Pod,
      place: { namespace: "a", subresource: "status" },
      want: "needs a name",
    },
  ])("refuses $name", ({ type, place, want }) => {
    expect(() => resourcePath(type, place)).toThrow(want);
  });
});

test("the plurals of our kinds are those of their definitions", () => {
  for (const { kind, plural } of KINDS) expect(RESOURCES[kind].plural).toBe(plural);
});

test("apiVersion() leaves out the empty group", () => {
  expect([apiVersion(RESOURCES.Pod), apiVersion(RESOURCES.StatefulSet)]).toEqual(["v1", "apps/v1"]);
});

test("objectKey() is the name alone where there is no namespace", () => {
  expect([objectKey({ namespace: "a", name: "b" }), objectKey({ name: "b" })]).toEqual(["a/b", "b"]);
});

test.each([
  { path: "/api/v1/namespaces/mail/secrets/hub", want: "secrets" },
  { path: "/api/v1/namespaces", want: "namespaces" },
  { path: "/api/v1/namespaces/mail", want: "namespaces" },
  { path: "/api/v1/pods", want: "pods" },
  { path: "/apis/apps/v1/namespaces/mail/statefulsets/hub/scale", want: "statefulsets/scale" },
  { path: "/version", want: "none" },
])("resourceOfPath() of $path is $want", ({ path, want }) => {
  expect(resourceOfPath(path)).toBe(want);
});
