"""`fraud`: the command line for people who write rules and read verdicts."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaException

from services.cli.check import check_rules
from services.cli.round_trip import round_trip
from services.cli.standing import get_rules
from services.cli.tail import DEAD_LETTERS, tail
from services.detector.settings import DetectorSettings
from services.errors import UserError
from services.rules import DEFAULT_KEY
from services.settings import load
from services.streams.tls import reason

USAGE_ERROR = 2
INTERRUPTED = 130
_MOST_SECONDS = 3600


def main(argv: list[str] | None = None) -> int:
    """Run a command; the exit code is 0 for success, 1 for findings, 2 for a wrong use."""
    arguments = _parser().parse_args(argv)
    try:
        if arguments.command == "rules" and arguments.verb == "get":
            return get_rules(
                arguments.names, arguments.namespace, arguments.config_map, arguments.output
            )
        if arguments.command == "rules":
            return check_rules(
                arguments.paths, arguments.schema, arguments.keyed_by, arguments.output
            )
        settings = load(DetectorSettings, os.environ)
        if arguments.command == "round-trip":
            return round_trip(settings, arguments.transaction, arguments.timeout)
        return tail(settings, arguments.stream, arguments)
    except UserError as error:
        sys.stderr.write(f"fraud: {error}\n")
        return error.exit_code
    except FileNotFoundError as error:
        sys.stderr.write(f"fraud: {error} does not exist; name a file or a folder of rules\n")
        return USAGE_ERROR
    except KafkaException as error:
        settings = load(DetectorSettings, os.environ)
        said = f"{reason(settings, error.args[0])} at {settings.kafka_broker_url}"
        sys.stderr.write(f"fraud: {said}; KAFKA_BROKER_URL names the broker\n")
        return USAGE_ERROR
    except BrokenPipeError:  # the reader has closed the pipe, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fraud", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    rules = commands.add_parser("rules", help="check FraudRules, or see how they stand")
    verbs = rules.add_subparsers(dest="verb", required=True, metavar="VERB")
    check = verbs.add_parser(
        "check", help="type-check rules and run their examples; exit 1 when one cannot go live"
    )
    check.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="a file or a folder")
    check.add_argument("--schema", type=Path, help="the transaction's schema; built in by default")
    check.add_argument(
        "--keyed-by",
        default=DEFAULT_KEY,
        metavar="FIELD",
        help="what the input topic is keyed by, or none (the detector's KEYED_BY); "
        f"{DEFAULT_KEY} by default",
    )
    _add_output(check)

    get = verbs.add_parser(
        "get", help="show how rules stand in a cluster, and which detectors have them"
    )
    get.add_argument("names", nargs="*", metavar="RULE", help="a rule's name; all by default")
    get.add_argument("-n", "--namespace", default="", help="the kubeconfig's by default")
    get.add_argument(
        "--config-map",
        default="fraud-detection-detectors",
        help="where the operator reports on the detectors (its DETECTORS_CONFIG_MAP)",
    )
    _add_output(get)

    follow = commands.add_parser("tail", help="show a topic's records as they come, in words")
    follow.add_argument("stream", choices=["legit", "fraud", DEAD_LETTERS])
    follow.add_argument("--from-beginning", action="store_true", help="start at the oldest record")
    follow.add_argument("--limit", type=int, default=0, help="stop after so many records")
    follow.add_argument(
        "--exit-at-end", action="store_true", help="stop at the end of what is there now"
    )
    _add_output(follow)

    once = commands.add_parser(
        "round-trip", help="send a test transaction, and wait for its verdict; exit 1 without one"
    )
    once.add_argument(
        "--transaction",
        type=_fields,
        default={},
        metavar="JSON",
        help="fields added to its own or instead of them, for a schema of one's own",
    )
    once.add_argument(
        "--timeout", type=_seconds, default=60.0, metavar="SECONDS", help="60 by default"
    )
    return parser


def _fields(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"is no JSON: {error}") from None
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f"is {text}; expected a JSON object with fields")
    return value


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= _MOST_SECONDS:
        raise argparse.ArgumentTypeError(f"is {text}; expected seconds, up to {_MOST_SECONDS}")
    return value


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--output", choices=["text", "json"], default="text", help="for people or for machines"
    )
