"""The common parts of panels and dashboards: unit, description, links, variables, annotations."""

from __future__ import annotations

from typing import NamedTuple, TypeVar

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.cog import builder as cogbuilder
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models.dashboard import (
    AnnotationQuery,
    Dashboard,
    DashboardLinkType,
    DataSourceRef,
    DataTransformerConfig,
    VariableOption,
    VariableRefresh,
    VariableSort,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
# A row of a dashboard is 24 wide.
WIDE, HALF, THIRD, QUARTER = 24, 12, 8, 6
_TAG = "fraud-detection"
_NAMES = "ABC"  # of a panel's queries
RULE_CHANGES = (
    # In this order, as between two scrapes a pod may have had two rulesets.
    'min by (hash) (fraud_ruleset_info{namespace="$namespace"} * on (namespace, pod)'
    ' group_left () fraud_ruleset_loaded_timestamp_seconds{namespace="$namespace"}) * 1000'
)

Panel = stat.Panel | table.Panel | timeseries.Panel
P = TypeVar("P", stat.Panel, table.Panel, timeseries.Panel)


class Query(NamedTuple):
    """A PromQL expression, and what its series are called: text with {{label}} in it."""

    expr: str
    legend: str


class Variable(NamedTuple):
    """A choice at the top of a dashboard: several of the values that a query gives."""

    name: str
    query: str
    about: str


NAMESPACE = Variable(
    "namespace", "label_values(fraud_ruleset_info, namespace)", "Where the detectors run."
)
SEVERITY = Variable(
    "severity",
    'label_values(fraud_rule_info{namespace="$namespace"}, severity)',
    "Only rules of these severities.",
)
RULE = Variable(
    "rule",
    'label_values(fraud_rule_info{namespace="$namespace",severity=~"$severity"}, rule)',
    "Only these rules, of those with the chosen severities.",
)


def graph(
    title: str, about: str, unit: str, *queries: Query, see: str, width: int = HALF
) -> timeseries.Panel:
    """Draw lines over time.

    Args:
        title: of the panel.
        about: what it shows, and what to make of it.
        unit: one of Grafana's.
        queries: its lines.
        see: the uid of the dashboard with details.
        width: of 24.

    """
    panel = (
        timeseries.Panel()
        .height(8)
        .legend(common.VizLegendOptions().show_legend(show_legend=True))
        .tooltip(common.VizTooltipOptions().mode(common_models.TooltipDisplayMode.MULTI))
        .fill_opacity(10)
        .min(0)
    )
    for name, query in zip(_NAMES, queries, strict=False):
        panel.with_target(_target(name, query).range())
    return _dressed(panel, title, about, unit, see, width)


def number(title: str, about: str, unit: str, *queries: Query, see: str) -> stat.Panel:
    """Show a number as it is now; the arguments are those of `graph`."""
    panel = (
        stat.Panel()
        .height(4)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .graph_mode(common_models.BigValueGraphMode.NONE)
    )
    for name, query in zip(_NAMES, queries, strict=False):
        panel.with_target(_target(name, query).instant())
    return _dressed(panel, title, about, unit, see, QUARTER)


def listing(
    title: str, about: str, unit: str, query: Query, *, see: str, width: int = HALF
) -> table.Panel:
    """Show a row for each element of a query; the arguments are those of `graph`."""
    tidy = DataTransformerConfig(
        id_val="organize", options={"excludeByName": {"Time": True, "__name__": True}}
    )
    panel = (
        table.Panel()
        .height(8)
        .show_header(show_header=True)
        .with_target(_target(_NAMES[0], query).instant().format(PromQueryFormat.TABLE))
        .with_transformation(tidy)
    )
    return _dressed(panel, title, about, unit, see, width)


def board(
    uid: str, title: str, about: str, variables: list[Variable], panels: list[Panel]
) -> Dashboard:
    """Put panels together.

    Args:
        uid: stable, as links go by it.
        title: of the dashboard.
        about: what it is for.
        variables: its choices.
        panels: from left to right and from top to bottom.

    """
    source = dashboard.DatasourceVariable("datasource").type("prometheus").label("Prometheus")
    others = (
        dashboard.DashboardLink("Fraud detection")
        .type(DashboardLinkType.DASHBOARDS)
        .tags([_TAG])
        .as_dropdown(as_dropdown=True)
        .include_vars(include_vars=True)
        .keep_time(keep_time=True)
    )
    built = (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(about)
        .tags([_TAG])
        .time("now-1h", "now")
        .refresh("10s")
        .timezone("browser")
        .readonly()
        .link(others)
        .annotation(_RuleChanges())
        .with_variable(source)
    )
    for variable in variables:
        built.with_variable(_choice(variable))
    for place, panel in enumerate(panels, 1):
        built.with_panel(panel.id(place))
    return built.build()


def _dressed(panel: P, title: str, about: str, unit: str, see: str, width: int) -> P:
    link = (
        dashboard.DashboardLink("More of it")
        .url(f"/d/{see}?${{__url_time_range}}&${{__all_variables}}")
        .type(DashboardLinkType.LINK)
    )
    return (
        panel.title(title)
        .description(about)
        .unit(unit)
        .span(width)
        .datasource(SOURCE)
        .links([link])
    )


def _target(name: str, query: Query) -> prometheus.Dataquery:
    return prometheus.Dataquery().ref_id(name).expr(query.expr).legend_format(query.legend)


def _choice(variable: Variable) -> dashboard.QueryVariable:
    several = variable.name != NAMESPACE.name
    choice = (
        dashboard.QueryVariable(variable.name)
        .label(variable.name.capitalize())
        .description(variable.about)
        .datasource(SOURCE)
        .query(variable.query)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(several)
        .include_all(several)
    )
    if several:
        choice.current(VariableOption(selected=True, text=["All"], value=["$__all"]))
    return choice


class _RuleChanges(AnnotationQuery, cogbuilder.Builder[AnnotationQuery]):
    """A mark for each ruleset at the time from which the first detector had it in force.

    The builders have no field for a mark's text, nor for taking the value of a
    query (ms since 1970) as its time.
    """

    def __init__(self) -> None:
        super().__init__(
            name="Rule changes",
            datasource=SOURCE,
            icon_color="blue",
            expr=RULE_CHANGES,
        )

    def build(self) -> AnnotationQuery:
        return self

    def to_json(self) -> dict[str, object]:
        text = {"titleFormat": "Ruleset in force", "textFormat": "{{hash}}"}
        return super().to_json() | text | {"useValueForTime": "on", "step": "10s"}
