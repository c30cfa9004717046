"""The dashboard of fraud: verdicts, money, and the rules behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tools.shipped.dashboards.panels import (
    HALF,
    NAMESPACE,
    RULE,
    SEVERITY,
    Query,
    board,
    graph,
    listing,
    number,
)
from tools.shipped.dashboards.uids import FRAUD, RULES, STREAM

if TYPE_CHECKING:
    from grafana_foundation_sdk.models.dashboard import Dashboard

_HERE = 'namespace="$namespace"'
_SHADOW = ',mode="Shadow"'
_ALL = f"sum(rate(fraud_transactions_total{{{_HERE}}}[$__rate_interval]))"
_FRAUD = f'sum(rate(fraud_transactions_total{{{_HERE},verdict="fraud"}}[$__rate_interval]))'


def _matches(by: str, more: str = "", over: str = "rate", window: str = "$__rate_interval") -> str:
    chosen = f'{_HERE},rule=~"$rule"{more}'
    return f"sum by ({by}) ({over}(fraud_rule_matches_total{{{chosen}}}[{window}]))"


def fraud() -> Dashboard:
    """Build the dashboard."""
    return board(
        FRAUD,
        "Fraud detection / Fraud",
        "What is judged to be fraud, how much money that stops, and which rules say so.",
        [NAMESPACE, SEVERITY, RULE],
        [
            number(
                "Transactions",
                "Transactions that are judged and committed.",
                "cps",
                Query(_ALL, "judged"),
                see=STREAM,
            ),
            number(
                "Fraud share",
                "Of all transactions, those that are fraud. Far from its usual: a rule, or the "
                "world, has changed.",
                "percentunit",
                Query(f"{_FRAUD} / {_ALL}", "fraud"),
                see=RULES,
            ),
            number(
                "Money stopped",
                "Money of the frauds of the chosen time. Currencies are never added up.",
                "short",
                Query(
                    "sum by (currency) "
                    f"(increase(fraud_stopped_amount_total{{{_HERE}}}[$__range])) > 0",
                    "{{currency}}",
                ),
                see=FRAUD,
            ),
            number(
                "Rules that decide",
                "Rules whose matches count, and rules in Shadow.",
                "short",
                Query(
                    "count by (mode) (max by (rule, mode) "
                    f'(fraud_rule_info{{{_HERE},rule=~"$rule"}}))',
                    "{{mode}}",
                ),
                see=RULES,
            ),
            graph(
                "Verdicts",
                "Transactions a second, by verdict.",
                "cps",
                Query(
                    "sum by (verdict) "
                    f"(rate(fraud_transactions_total{{{_HERE}}}[$__rate_interval]))",
                    "{{verdict}}",
                ),
                see=STREAM,
            ),
            graph(
                "Fraud share",
                "Of all transactions, those that are fraud.",
                "percentunit",
                Query(f"{_FRAUD} / {_ALL}", "fraud"),
                see=RULES,
            ),
            graph(
                "Money stopped in an hour",
                "At the pace of the moment, in whole units of each currency. They differ in worth: "
                "compare a line with itself.",
                "short",
                Query(
                    "3600 * sum by (currency) "
                    f"(rate(fraud_stopped_amount_total{{{_HERE}}}[$__rate_interval]))",
                    "{{currency}}",
                ),
                see=FRAUD,
            ),
            graph(
                "Matches by severity",
                "Matches a second of rules in any mode, by how grave the rule says they are.",
                "cps",
                Query(
                    "sum by (severity) (max by (namespace, rule, severity)"
                    f' (fraud_rule_info{{{_HERE},severity=~"$severity"}})'
                    f" * on (namespace, rule) group_left () {_matches('namespace, rule')})",
                    "{{severity}}",
                ),
                see=RULES,
            ),
            graph(
                "Matches of rules that decide",
                "Matches a second. A transaction that several rules match counts for each.",
                "cps",
                Query(_matches("rule", ',mode="Enforce"'), "{{rule}}"),
                see=RULES,
            ),
            graph(
                "Matches of rules in Shadow",
                "Matches a second of rules that decide nothing yet.",
                "cps",
                Query(_matches("rule", _SHADOW), "{{rule}}"),
                see=RULES,
            ),
            graph(
                "Shadow against Enforce",
                "All matches of either kind.",
                "cps",
                Query(_matches("mode"), "{{mode}}"),
                see=RULES,
            ),
            graph(
                "What a rule in Shadow would do",
                "Of all transactions, those that the rule would score if it were set to Enforce. "
                "What is far above the fraud share would flood those who look at frauds.",
                "percentunit",
                Query(
                    f"{_matches('rule', _SHADOW)} / on () group_left () {_ALL}",
                    "{{rule}}",
                ),
                see=RULES,
            ),
            listing(
                "Matches in the chosen time",
                "By rule and by the mode that it was in.",
                "short",
                Query(_matches("rule, mode", over="increase", window="$__range"), ""),
                see=RULES,
                width=2 * HALF,
            ),
        ],
    )
