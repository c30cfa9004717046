"""Each case in a process of its own: logging is set up for a whole process, once."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

START = "import logging, threading, structlog; from services.telemetry import configure_logs\n"
CONFIGURED = START + "configure_logs('detector', 'info'); log = structlog.get_logger('loop')\n"


def lines(code: str) -> list[dict[str, Any]]:
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        timeout=180,
    )
    assert ran.stdout == ""
    return [json.loads(line) for line in ran.stderr.splitlines()]


def test_a_line_is_json_with_time_level_service_and_values() -> None:
    [line] = lines(CONFIGURED + "log.info('committed', records=12)")
    assert abs(datetime.now(UTC) - datetime.fromisoformat(line.pop("timestamp"))) < timedelta(
        seconds=30
    )
    assert line == {
        "event": "committed",
        "records": 12,
        "level": "info",
        "logger": "loop",
        "service": "detector",
    }


def test_lines_below_the_level_are_left_out() -> None:
    code = CONFIGURED + "log.debug('a'); log.info('b'); logging.getLogger('kafka').debug('c')"
    assert [line["event"] for line in lines(code)] == ["b"]


def test_a_library_that_uses_logging_comes_out_the_same() -> None:
    [line] = lines(CONFIGURED + "logging.getLogger('librdkafka').warning('%d down', 3)")
    assert (line["event"], line["level"]) == ("3 down", "warning")
    assert (line["logger"], line["service"]) == ("librdkafka", "detector")


def test_other_threads_name_the_service_too() -> None:
    code = CONFIGURED + "t = threading.Thread(target=log.info, args=['b']); t.start(); t.join()"
    assert [line["service"] for line in lines(code)] == ["detector"]


def test_an_exception_is_part_of_its_line() -> None:
    code = CONFIGURED + "try: 1 / 0\nexcept ZeroDivisionError: log.exception('failed')"
    [line] = lines(code)
    assert line["exception"].endswith("ZeroDivisionError: division by zero")


def test_values_that_json_does_not_know_are_shown_as_python_has_them() -> None:
    [line] = lines(CONFIGURED + "log.info('a', value={1}, raw=b'\\xff')")
    assert (line["value"], line["raw"]) == ("{1}", r"b'\xff'")


def test_setting_up_again_replaces_what_was() -> None:
    code = CONFIGURED + "configure_logs('generator', 'info'); logging.getLogger('x').info('once')"
    assert [line["service"] for line in lines(code)] == ["generator"]


def test_a_terminal_gets_a_style_for_people() -> None:
    code = CONFIGURED + "try: 1 / 0\nexcept ZeroDivisionError: log.exception('failed', records=12)"
    shown = on_a_terminal(code)
    assert "failed" in shown
    assert "ZeroDivisionError: division by zero" in shown
    assert '{"' not in shown


def on_a_terminal(code: str) -> str:
    """Run code with its standard error on a terminal, and return what that shows."""
    master, terminal = pty.openpty()
    try:
        subprocess.run(
            [sys.executable, "-W", "error", "-c", code], stderr=terminal, check=True, timeout=180
        )
        return os.read(master, 65_536).decode()
    finally:
        os.close(terminal)
        os.close(master)
