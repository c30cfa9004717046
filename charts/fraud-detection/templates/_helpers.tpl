{{- define "fraud.name" -}}
{{- if not (regexMatch "^[a-z][-a-z0-9]*$" .Release.Name) -}}
{{- fail (printf "the release is called %s; expected a name that begins with a letter and has no dot, as Services are named after it" .Release.Name) -}}
{{- end -}}
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
app.kubernetes.io/instance: {{ $root.Release.Name | quote }}
app.kubernetes.io/component: {{ $component }}
{{- end -}}

{{/* Labels of a pod template: no version, as an upgrade of the chart alone would restart all pods. */}}
{{- define "fraud.podLabels" -}}
{{ include "fraud.selector" . }}
app.kubernetes.io/part-of: fraud-detection
{{- end -}}

{{- define "fraud.labels" -}}
{{- $root := index . 0 -}}
{{ include "fraud.podLabels" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
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

{{/* A value as text in quotes. Helm reads numbers as floats, and prints 1000000 as 1e+06. */}}
{{- define "fraud.text" -}}
{{- kindIs "string" . | ternary . (toJson .) | quote -}}
{{- end -}}

{{- define "fraud.rulesConfigMap" -}}
{{ include "fraud.name" . }}-rules
{{- end -}}

{{/* What all pods have: (list . .Values.detector) */}}
{{- define "fraud.pod" -}}
{{- $root := index . 0 -}}{{- $values := index . 1 -}}
# The addresses of all Services of the namespace, as variables, could be taken for settings.
enableServiceLinks: false
securityContext: {{- include "fraud.podSecurity" $root | nindent 2 }}
{{- with $root.Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
- {name: {{ quote . }}}
{{- end }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations: {{- toYaml . | nindent 0 }}
{{- end }}
{{- end -}}

{{- define "fraud.containerImage" -}}
image: {{ include "fraud.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
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
- {name: KAFKA_SSL_CA_LOCATION, value: /etc/kafka/ca}
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

{{/*
The Secrets that Strimzi writes. Trust is the cluster's CA: ca.crt of the user's is the clients'. The
whole Secret is mounted: while Strimzi replaces the CA, it holds the new certificate as ca.crt and the
one that brokers still show under another name.
*/}}
{{- define "fraud.kafkaVolumes" -}}
{{- $root := index . 0 -}}{{- $user := index . 1 -}}
{{- with $root.Values.kafka.cluster }}
- name: kafka-ca
  secret: {secretName: {{ . }}-cluster-ca-cert, defaultMode: 0440}
- name: kafka-user
  secret:
    secretName: {{ quote $user }}
    defaultMode: 0440
    items: [{key: user.crt, path: user.crt}, {key: user.key, path: user.key}]
{{- end }}
{{- end -}}

{{- define "fraud.moreEnv" -}}
{{- range $name, $value := . }}
- {name: {{ quote $name }}, value: {{ include "fraud.text" $value }}}
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

{{/*
The name of what belongs to the cluster. A namespace has no dot, so that no other release's can be the
same; nor has a release's name a colon, which ends the part of it that is the release's.
*/}}
{{- define "fraud.clusterName" -}}
{{- printf "%s.%s" .Release.Namespace .Release.Name -}}
{{- end -}}

{{/*
How many detectors there are to be; nothing leaves it to Kubernetes. A number that a scaler decides is
taken from the cluster: without one, the upgrade that turns autoscaling on would leave one detector.
*/}}
{{- define "fraud.detectors" -}}
{{- if eq .Values.detector.autoscaling.by "none" -}}
{{- int .Values.detector.replicas -}}
{{- else -}}
{{- $found := list -}}
{{- range list .Values.detector.kind "Deployment" "StatefulSet" -}}
{{- with lookup "apps/v1" . $.Release.Namespace (include "fraud.fullname" (list $ "detector")) -}}
{{- $found = append $found .spec.replicas -}}
{{- end -}}
{{- end -}}
{{- if $found }}{{ int (first $found) }}{{ end -}}
{{- end -}}
{{- end -}}

{{/* Prometheus' namespace, as it is let in to a status port. An empty selector would let all in. */}}
{{- define "fraud.fromPrometheus" -}}
{{- with .Values.networkPolicy.metricsFrom -}}
- from:
  - namespaceSelector:
      matchLabels: {{- toYaml . | nindent 8 }}
  ports: [{port: status}]
{{- end -}}
{{- end -}}
