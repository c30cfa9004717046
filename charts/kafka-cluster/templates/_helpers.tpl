{{/*
Labels of an object: (list . "component"). Strimzi copies those of a Kafka or KafkaNodePool to its
pods, but for app.kubernetes.io/*. So there is no helm.sh/chart: each new version of the chart would
restart every broker.
*/}}
{{- define "kafka-cluster.labels" -}}
{{- $root := index . 0 -}}{{- $component := index . 1 -}}
app.kubernetes.io/name: {{ $root.Chart.Name }}
app.kubernetes.io/instance: {{ $root.Release.Name | quote }}
app.kubernetes.io/component: {{ $component }}
app.kubernetes.io/part-of: fraud-detection
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
{{- end -}}

{{/*
The same for what belongs to a cluster; without strimzi.io/cluster it is passed over in silence.
*/}}
{{- define "kafka-cluster.memberLabels" -}}
{{- $root := index . 0 -}}
strimzi.io/cluster: {{ $root.Values.clusterName | quote }}
{{ include "kafka-cluster.labels" . }}
{{- end -}}

{{/*
Kafka's version. Without one in the values, a cluster keeps the version that it has: a default that is
older than that would be a downgrade.
*/}}
{{- define "kafka-cluster.version" -}}
{{- $installed := lookup "kafka.strimzi.io/v1" "Kafka" .Release.Namespace .Values.clusterName -}}
{{- .Values.kafkaVersion | default (dig "spec" "kafka" "version" "" $installed) | default .Chart.AppVersion -}}
{{- end -}}

{{- define "kafka-cluster.annotations" -}}
{{- if .Values.keepOnUninstall -}}
annotations:
  helm.sh/resource-policy: keep
{{- end -}}
{{- end -}}

{{/*
What restricted Pod Security asks for, said of each container: said of the pod it would replace the
fsGroup that Strimzi gives it for its volumes.
*/}}
{{- define "kafka-cluster.containerSecurity" -}}
securityContext:
  runAsNonRoot: true
  allowPrivilegeEscalation: false
  capabilities: {drop: [ALL]}
  seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{/*
The brokers' settings: what exactly-once delivery needs, and then the chart's user's.
*/}}
{{- define "kafka-cluster.config" -}}
{{- $factor := int .Values.replication.factor -}}
{{- $minInSync := int .Values.replication.minInSync -}}
{{- /* A group that was away for longer begins anew, and what is still there then would be judged
twice. So offsets outlive the records: their retention and a segment (a day at most), and a day. */ -}}
{{- $offsetsMinutes := mul 60 (add 48 (int64 .Values.topics.transactions.retentionHours)) -}}
{{- /* What a detector that crashed has left open holds back readers and its successor, until the broker
has noticed that it timed out: it looks every second, not every 10. */ -}}
{{- $ours := dict
  "auto.create.topics.enable" false
  "default.replication.factor" $factor
  "min.insync.replicas" $minInSync
  "offsets.topic.replication.factor" $factor
  "offsets.retention.minutes" (max 10080 $offsetsMinutes)
  "transaction.state.log.replication.factor" $factor
  "transaction.state.log.min.isr" $minInSync
  "transaction.abort.timed.out.transaction.cleanup.interval.ms" 1000
-}}
{{- range $name, $value := merge (deepCopy .Values.config) $ours }}
{{ $name }}: {{ toJson $value }}
{{- end }}
{{- end -}}

{{/*
A KafkaTopic: (dict "root" . "topic" .Values.topics.x "component" "x" "maxMessageBytes" n)
*/}}
{{- define "kafka-cluster.topic" -}}
{{- $retention := mul 3600000 (int64 .topic.retentionHours) -}}
apiVersion: kafka.strimzi.io/v1
kind: KafkaTopic
metadata:
  name: {{ quote .topic.name }}
  labels: {{- include "kafka-cluster.memberLabels" (list .root .component) | nindent 4 }}
  {{- with include "kafka-cluster.annotations" .root }}{{ . | nindent 2 }}{{ end }}
spec:
  partitions: {{ int .topic.partitions }}
  replicas: {{ int .root.Values.replication.factor }}
  config:
    cleanup.policy: delete
    {{- if eq .component "transactions" }}
    # Whatever producers use: of zstd alone the detector's client bounds what a batch decompresses to.
    compression.type: zstd
    {{- end }}
    min.insync.replicas: {{ int .root.Values.replication.minInSync }}
    max.message.bytes: {{ int64 .maxMessageBytes }}
    retention.ms: {{ $retention }}
    # Records go a segment at a time. A day's worth at most, so that they go in time.
    segment.ms: {{ min 86400000 (div $retention 8) }}
{{- end -}}

{{/*
A KafkaUser: (dict "root" . "name" "x" "component" "x" "acls" (list …)), each of the acls a
(list "operation" "type" "name" "patternType"). Describe comes with Read and with Write, and the
right to write idempotently with Write to any topic.
*/}}
{{- define "kafka-cluster.user" -}}
apiVersion: kafka.strimzi.io/v1
kind: KafkaUser
metadata:
  name: {{ quote .name }}
  labels: {{- include "kafka-cluster.memberLabels" (list .root .component) | nindent 4 }}
  {{- with include "kafka-cluster.annotations" .root }}{{ . | nindent 2 }}{{ end }}
spec:
  authentication:
    type: tls
  authorization:
    type: simple
    acls:
    {{- range .acls }}
    - operations: [{{ index . 0 }}]
      resource: {type: {{ index . 1 }}, name: {{ index . 2 | quote }}, patternType: {{ index . 3 }}}
    {{- end }}
{{- end -}}

{{/*
What holds across values, which the schema cannot say.
*/}}
{{- define "kafka-cluster.check" -}}
{{- $brokers := 0 -}}{{- $controllers := 0 -}}{{- $names := list -}}
{{- range .Values.pools -}}
  {{- if has "broker" .roles }}{{ $brokers = add $brokers (int .replicas) }}{{ end -}}
  {{- if has "controller" .roles }}{{ $controllers = add $controllers (int .replicas) }}{{ end -}}
  {{- $names = append $names .name -}}
{{- end -}}
{{- if ne (len $names) (len (uniq $names)) -}}
  {{- fail (printf "pools: two have one name (%s); give each its own" (join ", " $names)) -}}
{{- end -}}
{{- if eq (mod $controllers 2) 0 -}}
  {{- fail (printf "pools: %d controllers; make it an odd number, as they decide by majority" (int $controllers)) -}}
{{- end -}}
{{- $factor := int .Values.replication.factor -}}
{{- $minInSync := int .Values.replication.minInSync -}}
{{- if lt (int $brokers) $factor -}}
  {{- fail (printf "replication.factor is %d, but there are %d brokers; lower it, or add brokers to a pool" $factor (int $brokers)) -}}
{{- end -}}
{{- if gt $minInSync (max 1 (sub $factor 1) | int) -}}
  {{- fail (printf "replication.minInSync is %d of %d copies; make it less, or nothing can be written while a broker restarts" $minInSync $factor) -}}
{{- end -}}
{{- /* Prefixes that Strimzi passes over, and settings that it takes nevertheless, as listed in
KafkaClusterSpec of its API. */ -}}
{{- $strimzis := list "advertised." "authorizer." "broker." "client.quota.callback.static."
  "controller." "cordoned.log.dirs" "cruise.control.metrics." "host.name"
  "inter.broker.listener.name" "listener." "listeners" "log.dir" "metadata.log.dir" "node.id"
  "password." "port" "process.roles" "prometheus.metrics.reporter." "sasl." "security." "ssl."
  "super.user" "zookeeper."
-}}
{{- $taken := list "broker.heartbeat.interval.ms" "broker.session.timeout.ms"
  "controller.quorum.election.backoff.max.ms" "controller.quorum.election.timeout.ms"
  "controller.quorum.fetch.timeout.ms" "controller.socket.timeout.ms"
  "sasl.server.max.receive.size" "ssl.cipher.suites" "ssl.enabled.protocols" "ssl.protocol"
  "ssl.secure.random.implementation"
-}}
{{- range $name, $value := .Values.config -}}
  {{- range $strimzis -}}
    {{- if and (hasPrefix . $name) (not (has $name $taken)) -}}
      {{- fail (printf "config.%s is Strimzi's to set, and would be passed over in silence; take it out" $name) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- $topics := list -}}
{{- range .Values.topics }}{{ $topics = append $topics .name }}{{ end -}}
{{- if ne (len $topics) (len (uniq $topics)) -}}
  {{- fail (printf "topics: two have one name (%s); give each its own" (join ", " $topics)) -}}
{{- end -}}
{{- $users := concat .Values.users.producers (list .Values.users.detector) .Values.users.readers (compact (list .Values.users.tester .Values.users.console)) -}}
{{- if ne (len $users) (len (uniq $users)) -}}
  {{- fail (printf "users: two have one name (%s); give each its own" (join ", " $users)) -}}
{{- end -}}
{{- end -}}
