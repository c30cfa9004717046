"""Errors before a broker starts."""

from __future__ import annotations

from services.errors import UserError


class DistributionError(UserError):
    """A part of the broker is missing; the text has what was found and what to do."""
