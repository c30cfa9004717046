"""The console: a web page about the detectors, for users without Grafana."""
