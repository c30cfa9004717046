"""Streaming fraud detection on Kafka and Kubernetes."""
