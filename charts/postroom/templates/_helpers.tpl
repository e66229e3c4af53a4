{{- define "postroom.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* 40: names of roles and monitors are longer by a word. */}}
{{- define "postroom.fullname" -}}
{{- $name := include "postroom.name" . }}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) }}
{{- .Values.fullnameOverride | default $full | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* Cluster-scoped objects: two releases of one name lie in two namespaces. */}}
{{- define "postroom.clusterName" -}}
{{- printf "%s:%s" .Release.Namespace (include "postroom.fullname" .) }}
{{- end }}

{{- define "postroom.selector" -}}
app.kubernetes.io/name: {{ include "postroom.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}

{{- define "postroom.labels" -}}
{{- $own := include "postroom.selector" . | fromYaml }}
{{- $_ := set $own "app.kubernetes.io/version" .Chart.AppVersion }}
{{- $_ := set $own "app.kubernetes.io/managed-by" .Release.Service }}
{{- $_ := set $own "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_") }}
{{- mergeOverwrite (deepCopy .Values.labels) $own | toYaml }}
{{- end }}

{{- define "postroom.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (ternary (include "postroom.fullname" .) "default" .Values.serviceAccount.create) }}
{{- end }}

{{- define "postroom.image" -}}
{{- with .Values.image }}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{/*
files/operator-rules.yaml in parts, by where they hold: "lease" in the release's namespace, "shared" in the cluster
whatever is watched, "watched" in the cluster or in each of watchNamespaces. Labels of namespaces are read by an
operator of the whole cluster only.
*/}}
{{- define "postroom.rules" -}}
{{- $part := .part }}
{{- $rules := list }}
{{- range .root.Files.Get "files/operator-rules.yaml" | fromYamlArray }}
{{- $of := "watched" }}
{{- if has "leases" .resources }}{{ $of = "lease" }}{{ end }}
{{- if has "admissionregistration.k8s.io" .apiGroups }}{{ $of = "shared" }}{{ end }}
{{- if and (has "namespaces" .resources) $.root.Values.watchNamespaces }}{{ $of = "" }}{{ end }}
{{- if eq $of $part }}{{ $rules = append $rules . }}{{ end }}
{{- end }}
{{- toYaml $rules }}
{{- end }}

{{- define "postroom.subject" -}}
- kind: ServiceAccount
  name: {{ include "postroom.serviceAccount" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}
