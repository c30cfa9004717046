"""The skeleton of a service's main function: settings, logs, and errors on one line."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, TypeVar

from services.errors import UserError
from services.settings import ServiceSettings, load
from services.telemetry.logs import configure_logs

if TYPE_CHECKING:
    from collections.abc import Callable

S = TypeVar("S", bound=ServiceSettings)


def run_service(name: str, settings_class: type[S], work: Callable[[S], int]) -> int:
    """Load a service's settings, configure its logs, and run it.

    Args:
        name: Name of the service, for logs and errors.
        settings_class: Type of its settings.
        work: Runs the service until SIGTERM or SIGINT, and returns its exit code.

    Returns:
        The exit code. A `UserError` is one line on standard error, and has its own code.

    """
    try:
        settings = load(settings_class, os.environ)
        configure_logs(name, settings.log_level)
        return work(settings)
    except UserError as error:
        sys.stderr.write(f"{name}: {error}\n")
        return error.exit_code
