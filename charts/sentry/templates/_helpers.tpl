{{- define "sentry.runNamespace" -}}
{{ .Values.runNamespace | default .Release.Namespace }}
{{- end }}

{{- define "sentry.image" -}}
{{- $image := .Values.image.repository }}
{{- $registry := .Values.imageRegistry }}
{{- if and $registry (not (hasPrefix (printf "%s/" $registry) $image)) }}
{{- /* As the images of runs: the host gives way, and an image without one is Docker Hub's. */ -}}
{{- $parts := splitn "/" 2 $image }}
{{- if not (contains "/" $image) }}
{{- $image = printf "library/%s" $image }}
{{- else if or (contains "." $parts._0) (contains ":" $parts._0) (eq "localhost" $parts._0) }}
{{- $image = $parts._1 }}
{{- end }}
{{- $image = printf "%s/%s" $registry $image }}
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
{{- with .Values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- end }}
