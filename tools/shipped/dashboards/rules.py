"""The dashboard of rules: their detectors, their states, and the time until in force."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tools.shipped.dashboards.panels import (
    NAMESPACE,
    QUARTER,
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
_RULE = f'{_HERE},rule=~"$rule"'


def _live(q: float, window: str) -> Query:
    metric = f"fraud_operator_apply_to_live_seconds_bucket{{{_HERE}}}[{window}]"
    return Query(f"histogram_quantile({q}, sum by (le) (increase({metric})))", f"p{100 * q:g}")


def rules() -> Dashboard:
    """Build the dashboard."""
    return board(
        RULES,
        "Fraud detection / Rules",
        "How far each rule is: on which detector, in which state, and how long that took.",
        [NAMESPACE, SEVERITY, RULE],
        [
            number(
                "Rules by state",
                "Ready: in force on every detector. Stale: the edit is bad, and the version before "
                "decides. Invalid: no version decides.",
                "short",
                Query(f"sum by (state) (fraud_operator_rules{{{_HERE}}}) > 0", "{{state}}"),
                see=RULES,
            ),
            number(
                "Rulesets in force",
                "Different ones at this moment. More than one for long: see which pod is behind.",
                "short",
                Query(f"count(count by (hash) (fraud_ruleset_info{{{_HERE}}}))", "rulesets"),
                see=RULES,
            ),
            number(
                "Apply to live",
                "From a rule's change to the last detector's confirmation, in the chosen time.",
                "s",
                _live(0.5, "$__range"),
                _live(0.99, "$__range"),
                see=RULES,
            ),
            number(
                "Rule errors",
                "Evaluations that failed in the chosen time; the rule did not match.",
                "short",
                Query(
                    f"sum(increase(fraud_rule_errors_total{{{_RULE}}}[$__range])) or vector(0)",
                    "errors",
                ),
                see=RULES,
            ),
            listing(
                "Ruleset by pod",
                "The content hash of what each detector judges with.",
                "short",
                Query(f"max by (pod, hash) (fraud_ruleset_info{{{_HERE}}})", ""),
                see=STREAM,
            ),
            graph(
                "Age of the ruleset",
                "Since when each detector judges with it. All fall to 0 together at a change.",
                "s",
                Query(
                    f"time() - max by (pod) (fraud_ruleset_loaded_timestamp_seconds{{{_HERE}}})",
                    "{{pod}}",
                ),
                see=RULES,
            ),
            listing(
                "Rules",
                "What each rule is, in the version that decides.",
                "short",
                Query(f"max by (rule, severity, mode, action) (fraud_rule_info{{{_RULE}}})", ""),
                see=FRAUD,
            ),
            listing(
                "State by rule and pod",
                "Warming: its windows are built from the log, and its version before decides.",
                "short",
                Query(f"max by (rule, state, pod) (fraud_rule_state{{{_RULE}}})", ""),
                see=STREAM,
            ),
            graph(
                "Rules by state, of the operator",
                "FraudRules of the namespace.",
                "short",
                Query(f"sum by (state) (fraud_operator_rules{{{_HERE}}})", "{{state}}"),
                see=RULES,
            ),
            graph(
                "Rules by state, of the detectors",
                "The largest number on any of them.",
                "short",
                Query(f"max by (state) (fraud_rules{{{_HERE}}})", "{{state}}"),
                see=RULES,
            ),
            graph(
                "Apply to live",
                "Of the changes of the hour before. The aim is 2 s; a rule with windows has to "
                "build them first.",
                "s",
                _live(0.5, "1h"),
                _live(0.99, "1h"),
                see=RULES,
            ),
            graph(
                "Rule errors",
                "Evaluations a second that failed, by rule and error, and those that needed an "
                "aggregate without a value.",
                "cps",
                Query(
                    "sum by (rule, error) "
                    f"(rate(fraud_rule_errors_total{{{_RULE}}}[$__rate_interval]))",
                    "{{rule}} {{error}}",
                ),
                Query(
                    "sum by (rule) "
                    f"(rate(fraud_rule_values_missing_total{{{_RULE}}}[$__rate_interval]))",
                    "{{rule}} no value",
                ),
                see=FRAUD,
            ),
            graph(
                "Reloads",
                "Changes of a detector's rule files: applied whole, or with a rule rejected.",
                "short",
                Query(
                    "sum by (outcome) "
                    f"(increase(fraud_ruleset_reloads_total{{{_HERE}}}[$__rate_interval]))",
                    "{{outcome}}",
                ),
                see=RULES,
                width=2 * QUARTER,
            ),
            graph(
                "Rounds of the operator",
                "A second. Failed ones: the API server does not answer, or refuses.",
                "cps",
                Query(
                    "sum by (outcome) "
                    f"(rate(fraud_operator_rounds_total{{{_HERE}}}[$__rate_interval]))",
                    "{{outcome}}",
                ),
                see=RULES,
                width=2 * QUARTER,
            ),
        ],
    )
