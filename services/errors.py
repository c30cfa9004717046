"""The base of all errors whose text is for the people who use the project."""

from __future__ import annotations


class UserError(Exception):
    """An error that a user can correct.

    Its text has what was found, what was expected, and what to do; no traceback is shown.
    `exit_code` is that of a program which the error ends: 2, wrong use, unless a class differs.
    """

    exit_code = 2
