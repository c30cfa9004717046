"""Logs, metrics, and the status endpoint of a service."""

from services.telemetry import metrics
from services.telemetry.heartbeat import Heartbeat
from services.telemetry.logs import configure_logs
from services.telemetry.service import run_service
from services.telemetry.status import StatusServer

__all__ = ["Heartbeat", "StatusServer", "configure_logs", "metrics", "run_service"]
