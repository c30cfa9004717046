"""Logs, metrics, and the endpoint that tells how a service is."""

from services.telemetry import metrics
from services.telemetry.logs import configure_logs
from services.telemetry.status import StatusServer

__all__ = ["StatusServer", "configure_logs", "metrics"]
