"""The operator: reads FraudRules from Kubernetes and distributes them to the detectors."""
