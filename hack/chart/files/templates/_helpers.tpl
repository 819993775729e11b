{{- define "sentry.runNamespace" -}}
{{ .Values.runNamespace | default .Release.Namespace }}
{{- end }}

{{- define "sentry.image" -}}
{{- $image := .Values.image.repository }}
{{- if .Values.imageRegistry }}
{{- $image = printf "%s/%s" .Values.imageRegistry (splitn "/" 2 $image)._1 }}
{{- end }}
{{- if .Values.image.digest -}}
{{ $image }}@{{ .Values.image.digest }}
{{- else -}}
{{ $image }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}
{{- end }}

{{- /* 88 percent of the memory limit: Go collects its garbage more often before the kernel ends the process. */ -}}
{{- define "sentry.goMemLimit" -}}
{{- $limit := .Values.resources.limits.memory }}
{{- $mebi := trimSuffix "Mi" $limit | int }}
{{- if hasSuffix "Gi" $limit }}
{{- $mebi = mul 1024 (trimSuffix "Gi" $limit | int) }}
{{- end -}}
{{ div (mul $mebi 88) 100 }}MiB
{{- end }}

{{- define "sentry.pod" -}}
{{- with .Values.nodeSelector }}
nodeSelector: {{ toJson . }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{ toJson . }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{ toJson . }}
{{- end }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
{{- range . }}
- name: {{ . | quote }}
{{- end }}
{{- end }}
{{- if and .Values.priorityClassName (not .Values.priorityClass) }}
priorityClassName: {{ .Values.priorityClassName | quote }}
{{- end }}
{{- end }}
