{{- define "minefleet.name" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "minefleet.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "minefleet.labels" -}}
{{ include "minefleet.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "minefleet.url" -}}
http://{{ include "minefleet.name" . }}.{{ .Release.Namespace }}.svc:{{ .Values.service.port }}
{{- end -}}

{{- /* Matchers as alertmanager.yml writes them, name="value", as the operator wants them. */ -}}
{{- define "minefleet.matchers" -}}
{{- range . }}
- name: {{ regexFind "^[a-z_]+" . }}
  matchType: {{ regexReplaceAll "^[a-z_]+([=!~]+).*$" . "${1}" | quote }}
  value: {{ regexReplaceAll "^[^\"]*\"(.*)\"$" . "${1}" | quote }}
{{- end }}
{{- end -}}
