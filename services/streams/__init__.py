"""Kafka: client settings, the exactly-once loop, dead letters. No rules, no verdicts."""
