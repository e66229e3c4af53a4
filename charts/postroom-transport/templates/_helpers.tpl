{{- define "transport.name" -}}
{{- .Values.transport.name | default .Release.Name }}
{{- end }}

{{- define "transport.labels" -}}
{{- $own := dict "app.kubernetes.io/name" .Chart.Name "app.kubernetes.io/instance" .Release.Name }}
{{- $_ := set $own "app.kubernetes.io/managed-by" .Release.Service }}
{{- $_ := set $own "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_") }}
{{- mergeOverwrite (deepCopy .Values.labels) $own | toYaml }}
{{- end }}

{{/* "root", "kind", "objects": name -> spec. Each attaches to the MailTransport of this release unless it says otherwise. */}}
{{- define "transport.objects" -}}
{{- $root := .root }}
{{- $kind := .kind }}
{{- $refs := dict "transportRefs" (list (dict "name" (include "transport.name" $root))) }}
{{- range $name, $spec := .objects }}
{{- if $spec }}
---
apiVersion: postroom.dev/v1alpha1
kind: {{ $kind }}
metadata:
  name: {{ $name }}
  namespace: {{ $root.Release.Namespace }}
  labels: {{- include "transport.labels" $root | nindent 4 }}
spec: {{- merge (deepCopy $spec) $refs | toYaml | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}
