"""The words all dashboards are written in: panels with one style, units, colours, filters and links."""

from __future__ import annotations

import warnings
from typing import Any, TypeVar

with warnings.catch_warnings():
    # The SDK warns of its classic dashboard when imported; classic is what file provisioning loads.
    warnings.simplefilter("ignore", DeprecationWarning)
    from grafana_foundation_sdk.builders import common, prometheus, stat, statetimeline, table, timeseries
    from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue as Property
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

OK, WARN, BAD, OFF = "green", "orange", "red", "gray"
HASHRATE, WATTS, CELSIUS, SHARE, USD, RPM = "Hs", "watt", "celsius", "percentunit", "currencyUSD", "rotrpm"
COUNT, AGE = "short", "dtdurations"
# Joules per hash times 1e9; Grafana puts the prefix, so SHA-256 reads as mJ/GH.
EFFICIENCY = "si:J/GH"

DATASOURCE = common_models.DataSourceRef(type_val="prometheus", uid="${datasource}")
FILTER = 'job=~"$job", site=~"$site", instance=~"$instance"'

Panel = TypeVar("Panel", stat.Panel, timeseries.Panel, table.Panel, statetimeline.Panel)


def filtered(expression: str) -> str:
    """The expression with the dashboard's filter written out."""
    return expression.replace("{F", "{" + FILTER)


def query(expression: str, legend: str = "", ref: str = "A") -> prometheus.Dataquery:
    """A range query; ``{F}`` stands for the dashboard's filter, ``{F, more}`` for it and more."""
    made = prometheus.Dataquery().expr(filtered(expression)).ref_id(ref)
    return made.legend_format(legend).range() if legend else made.range()


def instant(expression: str, ref: str = "A", *, as_table: bool = False) -> prometheus.Dataquery:
    """A query of the moment; in a table *ref* is the column's name."""
    made = prometheus.Dataquery().expr(filtered(expression)).ref_id(ref).instant()
    return made.format(PromQueryFormat.TABLE) if as_table else made


def _named(panel: Panel, title: str, description: str, width: int, height: int) -> Panel:
    return panel.title(title).description(description).datasource(DATASOURCE).span(width).height(height)


def steps(*pairs: tuple[float | None, str]) -> builders.ThresholdsConfig:
    """Colours from values on; the first has none."""
    return (
        builders.ThresholdsConfig()
        .mode(models.ThresholdsMode.ABSOLUTE)
        .steps([models.Threshold(value=value, color=colour) for value, colour in pairs])
    )


def figure(
    title: str,
    description: str,
    expression: str,
    unit: str,
    *,
    width: int = 4,
    legend: str = "",
    thresholds: builders.ThresholdsConfig | None = None,
    decimals: int | None = None,
    none: str = "unknown",
    trend: bool = True,
) -> stat.Panel:
    """One number, with its trend behind it."""
    panel = (
        _named(stat.Panel(), title, description, width, 4)
        .unit(unit)
        .no_value(none)
        .color_mode(common_models.BigValueColorMode.VALUE)
        .graph_mode(common_models.BigValueGraphMode.AREA if trend else common_models.BigValueGraphMode.NONE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .thresholds(thresholds or steps((None, "text")))
        .with_target(query(expression, legend))
    )
    return panel if decimals is None else panel.decimals(decimals)


def graph(
    title: str,
    description: str,
    unit: str,
    *targets: prometheus.Dataquery,
    width: int = 12,
    height: int = 8,
    minimum: float | None = 0,
    decimals: int | None = None,
) -> timeseries.Panel:
    """Lines over time; gaps stay gaps, since what nobody measured is not drawn."""
    panel = (
        _named(timeseries.Panel(), title, description, width, height)
        .unit(unit)
        .line_width(2)
        .fill_opacity(15)
        .gradient_mode(common_models.GraphGradientMode.OPACITY)
        .show_points(common_models.VisibilityMode.NEVER)
        .span_nulls(False)
        .legend(
            common.VizLegendOptions()
            .display_mode(common_models.LegendDisplayMode.TABLE)
            .placement(common_models.LegendPlacement.RIGHT)
            .calcs(["lastNotNull", "min", "max"])
            .show_legend(True)
        )
        .targets(list(targets))
    )
    if minimum is not None:
        panel = panel.min(minimum)
    return panel if decimals is None else panel.decimals(decimals)


def timeline(
    title: str,
    description: str,
    states: dict[int, tuple[str, str]],
    target: prometheus.Dataquery,
    *,
    width: int = 24,
    height: int = 10,
) -> statetimeline.Panel:
    """States over time; *states* maps a value to its word and colour."""
    return (
        _named(statetimeline.Panel(), title, description, width, height)
        .merge_values(True)
        .show_value(common_models.VisibilityMode.NEVER)
        .row_height(0.9)
        .mappings([value_map(states)])
        .with_target(target)
    )


def value_map(states: dict[int, tuple[str, str]]) -> models.ValueMap:
    """Words and colours for numbers."""
    return models.ValueMap(
        options={
            str(value): models.ValueMappingResult(text=text, color=colour, index=index)
            for index, (value, (text, colour)) in enumerate(states.items())
        }
    )


def list_of(
    title: str,
    description: str,
    columns: dict[str, str],
    order: list[str],
    *,
    sort: str,
    descending: bool = True,
    width: int = 24,
    height: int = 12,
    by: tuple[str, ...] = ("job", "instance"),
    also: dict[str, tuple[str, ...]] | None = None,
    overrides: dict[str, list[Property]] | None = None,
    none: str | None = None,
) -> table.Panel:
    """One row for each *by*; *columns* are instant queries by the column's name, *none* stands for no rows.

    Grafana makes one row of what agrees in every field, the name of the metric included: so each query keeps
    the labels *by* and no other, but for those that are columns themselves, which one query has *also*.
    """
    panel = _named(table.Panel(), title, description, width, height)
    for name, expression in columns.items():
        labels = ", ".join((*by, *(also or {}).get(name, ())))
        panel = panel.with_target(instant(f"max by ({labels}) ({expression})", name, as_table=True))
    if none is not None:
        # Grafana prints it in every cell without a value too, unless the columns have one of their own.
        panel = panel.no_value(none).override_by_regexp("/.*/", [Property("noValue", "")])
    panel = (
        panel.with_transformation(transformation("merge", {}))
        .with_transformation(transformation("renameByRegex", {"regex": "Value #(.*)", "renamePattern": "$1"}))
        .with_transformation(
            transformation("filterFieldsByName", {"include": {"names": order}}),
        )
        .with_transformation(
            transformation("organize", {"indexByName": {name: index for index, name in enumerate(order)}})
        )
        .sort_by([common.TableSortByFieldState().display_name(sort).desc(descending)])
        .override_by_name("instance", [Property("displayName", "Miner")])
    )
    for name, properties in (overrides or {}).items():
        panel = panel.override_by_name(name, properties)
    return panel


def transformation(kind: str, options: dict[str, Any]) -> models.DataTransformerConfig:
    """One transformation of a table's frames."""
    return models.DataTransformerConfig(id_val=kind, options=options)


def shown_as(unit: str, decimals: int | None = None) -> list[Property]:
    """A column's unit."""
    made = [Property("unit", unit)]
    return made if decimals is None else [*made, Property("decimals", decimals)]


def coloured(*pairs: tuple[float | None, str]) -> list[Property]:
    """A column's text in the colour of its value."""
    return [
        Property("thresholds", {"mode": "absolute", "steps": [{"value": v, "color": c} for v, c in pairs]}),
        Property("custom.cellOptions", {"type": "color-text"}),
    ]


def gauge_cell(low: float, high: float, *pairs: tuple[float | None, str]) -> list[Property]:
    """A column drawn as a bar between *low* and *high*."""
    return [
        Property("min", low),
        Property("max", high),
        Property("thresholds", {"mode": "absolute", "steps": [{"value": v, "color": c} for v, c in pairs]}),
        Property("custom.cellOptions", {"type": "gauge", "mode": "basic"}),
    ]


def mapped(states: dict[int, tuple[str, str]]) -> list[Property]:
    """A column of numbers that are words."""
    options = {
        str(value): {"text": text, "color": colour, "index": index}
        for index, (value, (text, colour)) in enumerate(states.items())
    }
    return [
        Property("mappings", [{"type": "value", "options": options}]),
        Property("custom.cellOptions", {"type": "color-background", "mode": "basic"}),
    ]


def linked(title: str, url: str) -> list[Property]:
    """A column whose cells lead somewhere."""
    return [Property("links", [{"title": title, "url": url}])]


def variables(metric: str) -> list[Any]:
    """The filters every dashboard has: data source, job, site and instance, each within the one before."""
    datasource = builders.DatasourceVariable("datasource").label("Data Source").type("prometheus")
    made: list[Any] = [datasource]
    selector = ""
    for name, title in (("job", "Job"), ("site", "Site"), ("instance", "Miner")):
        made.append(
            builders.QueryVariable(name)
            .label(title)
            .datasource(DATASOURCE)
            .query({"query": f"label_values({metric}{{{selector}}}, {name})", "refId": name})
            .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
            .sort(models.VariableSort.ALPHABETICAL_ASC)
            .multi(True)
            .include_all(True)
            # Also those that have no such label: not everybody has sites.
            .all_value(".*")
            .current(models.VariableOption(selected=True, text="All", value="$__all"))
        )
        selector += f'{", " if selector else ""}{name}=~"${name}"'
    return made
