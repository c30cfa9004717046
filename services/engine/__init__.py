"""One engine for all who judge: from columns to the rules that match."""

from services.engine.judging import Engine

__all__ = ["Engine"]
