"""The operator: what Kubernetes knows of FraudRules, and what it does about them."""
