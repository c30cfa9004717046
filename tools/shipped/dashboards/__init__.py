"""The dashboards as code: `make dashboards` writes them to the chart as JSON.

Grafana's own builders for Python are used, and only here: the JSON is committed, and a
test compares.
"""
