"""Kafka: client settings, the exactly-once loop, dead letters. Knows no rule and no verdict."""
