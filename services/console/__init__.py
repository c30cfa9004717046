"""The console: one page that shows how the detectors do, for whoever has no Grafana."""
