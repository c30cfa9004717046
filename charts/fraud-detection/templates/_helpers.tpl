{{- define "fraud.name" -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* A service's own name: (list . "detector") */}}
{{- define "fraud.fullname" -}}
{{- $root := index . 0 -}}{{- $component := index . 1 -}}
{{- printf "%s-%s" (include "fraud.name" $root) $component -}}
{{- end -}}

{{- define "fraud.selector" -}}
{{- $root := index . 0 -}}{{- $component := index . 1 -}}
app.kubernetes.io/name: fraud-detection
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ $component }}
{{- end -}}

{{- define "fraud.labels" -}}
{{- $root := index . 0 -}}
{{ include "fraud.selector" . }}
app.kubernetes.io/part-of: fraud-detection
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version }}
{{- end -}}

{{- define "fraud.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ $image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "fraud.bootstrap" -}}
{{- if .Values.kafka.bootstrapServers -}}
{{ .Values.kafka.bootstrapServers }}
{{- else if .Values.kafka.cluster -}}
{{ .Values.kafka.cluster }}-kafka-bootstrap.{{ .Release.Namespace }}.svc:9093
{{- else -}}
{{- fail "kafka.bootstrapServers or kafka.cluster has to be set" -}}
{{- end -}}
{{- end -}}

{{- define "fraud.rulesConfigMap" -}}
{{ include "fraud.name" . }}-rules
{{- end -}}

{{/* What restricted Pod Security asks for. */}}
{{- define "fraud.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "fraud.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* Environment of a service on Kafka. */}}
{{- define "fraud.kafkaEnv" -}}
- {name: KAFKA_BROKER_URL, value: {{ include "fraud.bootstrap" . | quote }}}
- {name: TRANSACTIONS_TOPIC, value: {{ .Values.kafka.topics.transactions | quote }}}
{{- if .Values.kafka.cluster }}
- {name: KAFKA_SECURITY_PROTOCOL, value: SSL}
- {name: KAFKA_SSL_CA_LOCATION, value: /etc/kafka/ca/ca.crt}
- {name: KAFKA_SSL_CERTIFICATE_LOCATION, value: /etc/kafka/user/user.crt}
- {name: KAFKA_SSL_KEY_LOCATION, value: /etc/kafka/user/user.key}
{{- end }}
{{- end -}}

{{- define "fraud.kafkaMounts" -}}
{{- if .Values.kafka.cluster }}
- {name: kafka-ca, mountPath: /etc/kafka/ca, readOnly: true}
- {name: kafka-user, mountPath: /etc/kafka/user, readOnly: true}
{{- end }}
{{- end -}}

{{/* The Secrets that Strimzi writes. Trust is the cluster's CA: ca.crt of the user's is the clients'. */}}
{{- define "fraud.kafkaVolumes" -}}
{{- $root := index . 0 -}}{{- $user := index . 1 -}}
{{- with $root.Values.kafka.cluster }}
- name: kafka-ca
  secret: {secretName: {{ . }}-cluster-ca-cert, items: [{key: ca.crt, path: ca.crt}]}
- name: kafka-user
  secret:
    secretName: {{ $user }}
    defaultMode: 0440
    items: [{key: user.crt, path: user.crt}, {key: user.key, path: user.key}]
{{- end }}
{{- end -}}

{{- define "fraud.moreEnv" -}}
{{- range $name, $value := . }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- end -}}

{{/* Probes on the endpoints that every service has. The first start may have to wait for Kafka. */}}
{{- define "fraud.probes" -}}
livenessProbe:
  httpGet: {path: /livez, port: status}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
readinessProbe:
  httpGet: {path: /readyz, port: status}
  periodSeconds: 2
  timeoutSeconds: 5
{{- end -}}

{{/* Of the cluster, so named by the namespace too. */}}
{{- define "fraud.webhook" -}}
{{- printf "%s-%s" .Release.Namespace (include "fraud.name" .) | trunc 58 | trimSuffix "-" -}}
{{- end -}}
