"""The names that links to the dashboards go by; they stay."""

FRAUD = "fraud-detection-fraud"
STREAM = "fraud-detection-stream"
RULES = "fraud-detection-rules"
KAFKA = "fraud-detection-kafka"
