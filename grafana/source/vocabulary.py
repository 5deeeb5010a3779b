"""The words all dashboards are written in: panels with one style, units, colours, filters and links."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from typing import Any, TypeVar

with warnings.catch_warnings():
    # The SDK warns of its classic dashboard when imported; classic is what file provisioning loads.
    warnings.simplefilter("ignore", DeprecationWarning)
    from grafana_foundation_sdk.builders import (
        bargauge,
        common,
        prometheus,
        stat,
        statetimeline,
        table,
        timeseries,
    )
    from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue as Property
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

# Blue is good: whoever cannot tell red from green sees it too. A colour never stands without a word or number.
OK, WARN, BAD, OFF, PLAIN = "semi-dark-blue", "orange", "semi-dark-red", "#808080", "text"
HASHRATE, WATTS, CELSIUS, SHARE, USD, RPM = "Hs", "watt", "celsius", "percentunit", "currencyUSD", "rotrpm"
COUNT, AGE, SECONDS, BYTES, VOLTS, HERTZ, COINS = (
    "locale",
    "dtdurations",
    "s",
    "bytes",
    "volt",
    "hertz",
    "none",
)
DATE = "dateTimeFromNow"
# Joules per hash times 1e9; Grafana puts the prefix, so SHA-256 reads as mJ/GH.
EFFICIENCY = "si:J/GH"

SEVERITIES = {0: ("ok", OK), 1: ("note", OFF), 2: ("warning", WARN), 3: ("critical", BAD)}
STATES = {0: ("down", BAD), 1: ("not mining", WARN), 2: ("mining", OK)}

DATASOURCE = common_models.DataSourceRef(type_val="prometheus", uid="${datasource}")
# What {F} in an expression stands for; {P} is a pool's account.
FILTER = 'job=~"$job", site=~"$site", rack=~"$rack", instance=~"$miner"'
POOL_FILTER = 'instance=~"$account"'

FLEET, MINER, BOARDS, POOL = "minefleet-fleet", "minefleet-miner", "minefleet-boards", "minefleet-pool"
LOSS, ALERTS, EXPORTER, INVENTORY = (
    "minefleet-loss",
    "minefleet-alerts",
    "minefleet-exporter",
    "minefleet-inventory",
)

Panel = TypeVar(
    "Panel", stat.Panel, timeseries.Panel, table.Panel, statetimeline.Panel, bargauge.Panel, builders.Panel
)
Place = tuple[int, int, int, int]
WORST_OF_SITE = "worst of the site"
# Grafana's own words for nothing, "No data", do not tell whether that is well.
NOTHING_KNOWN = "Nothing is known of the time shown"
# The words are for a panel without any series: else each gap of a series would be shown with them, too.
NOT_IN_GAPS = Property("noValue", None)
Steps = Sequence[tuple[float | None, str]]


def filtered(expression: str) -> str:
    """The expression with the dashboard's filters written out."""
    return expression.replace("{F", "{" + FILTER).replace("{P", "{" + POOL_FILTER)


def query(expression: str, legend: str, ref: str = "A") -> prometheus.Dataquery:
    """A range query; ``{F}`` stands for the dashboard's filter, ``{F, more}`` for it and more."""
    return prometheus.Dataquery().expr(filtered(expression)).ref_id(ref).legend_format(legend).range()


def instant(
    expression: str, ref: str = "A", *, legend: str = "", as_table: bool = False
) -> prometheus.Dataquery:
    """A query of the moment; in a table *ref* is the column's name."""
    made = prometheus.Dataquery().expr(filtered(expression)).ref_id(ref).instant()
    if legend:
        made = made.legend_format(legend)
    return made.format(PromQueryFormat.TABLE) if as_table else made


def lines(*pairs: tuple[str, str]) -> list[prometheus.Dataquery]:
    """Range queries of (legend, expression)."""
    return [query(expression, legend, chr(65 + index)) for index, (legend, expression) in enumerate(pairs)]


def board_of(
    uid: str,
    title: str,
    description: str,
    panels: Sequence[Any],
    variables: Sequence[Any],
    *,
    annotations: Sequence[Any] = (),
    since: str = "now-6h",
    refresh: str = "1m",
) -> Any:
    """A dashboard, with links to the others that keep time and variables."""
    made = (
        builders.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags(["minefleet"])
        .readonly()
        .time(since, "now")
        .refresh(refresh)
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .variables(list(variables))
        .annotations(list(annotations))
        .link(
            builders.DashboardLink("Mining dashboards")
            .type(models.DashboardLinkType.DASHBOARDS)
            .tags(["minefleet"])
            .as_dropdown(True)
            .include_vars(True)
            .keep_time(True)
        )
    )
    for panel in panels:
        made = made.with_row(panel) if isinstance(panel, builders.Row) else made.with_panel(panel)
    return made


def _named(panel: Panel, title: str, description: str, at: Place) -> Panel:
    x, y, width, height = at
    return (
        panel.title(title)
        .description(description)
        .datasource(DATASOURCE)
        .grid_pos(models.GridPos(h=height, w=width, x=x, y=y))
    )


def steps(*pairs: tuple[float | None, str]) -> builders.ThresholdsConfig:
    """Colours from values on; the first has none."""
    return (
        builders.ThresholdsConfig()
        .mode(models.ThresholdsMode.ABSOLUTE)
        .steps([models.Threshold(value=value, color=colour) for value, colour in pairs])
    )


def row(title: str, y: int) -> builders.Row:
    """A heading."""
    return builders.Row(title).grid_pos(models.GridPos(h=1, w=24, x=0, y=y))


class Figure:
    """One number of a :func:`figures` panel: a word, what is asked, its unit, and how it is coloured."""

    def __init__(
        self,
        name: str,
        expression: str,
        unit: str,
        *,
        decimals: int | None = None,
        colours: Steps = (),
        words: dict[int, tuple[str, str]] | None = None,
        legend: str = "",
    ) -> None:
        self.name, self.expression, self.unit, self.decimals = name, expression, unit, decimals
        self.colours, self.words, self.legend = colours, words, legend


def figures(title: str, description: str, at: Place, *numbers: Figure, none: str = "unknown") -> stat.Panel:
    """Numbers of the moment side by side, without a line through them."""
    panel = (
        _named(stat.Panel(), title, description, at)
        .unit(numbers[0].unit)
        .no_value(none)
        .color_mode(common_models.BigValueColorMode.VALUE)
        .graph_mode(common_models.BigValueGraphMode.NONE)
        .text_mode(common_models.BigValueTextMode.VALUE_AND_NAME)
        .wide_layout(False)
        .text(common.VizTextDisplayOptions().title_size(12))
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .thresholds(steps((None, PLAIN)))
    )
    for index, number in enumerate(numbers):
        ref = chr(65 + index)
        panel = panel.with_target(
            instant(number.expression, ref, legend=number.legend or number.name)
        ).override_by_query(ref, _properties(number))
    return panel


def _properties(number: Figure) -> list[Property]:
    made = [Property("unit", number.unit)]
    if number.decimals is not None:
        made.append(Property("decimals", number.decimals))
    if number.colours:
        made.append(Property("thresholds", _steps(number.colours)))
    if number.words:
        made.append(Property("mappings", _mappings(number.words)))
    return made


def _steps(pairs: Steps) -> dict[str, Any]:
    return {"mode": "absolute", "steps": [{"value": value, "color": colour} for value, colour in pairs]}


def _mappings(words: dict[int, tuple[str, str]]) -> list[dict[str, Any]]:
    options = {
        str(value): {"text": text, "color": colour, "index": index}
        for index, (value, (text, colour)) in enumerate(words.items())
    }
    return [{"type": "value", "options": options}]


def graph(
    title: str,
    description: str,
    at: Place,
    unit: str,
    *targets: prometheus.Dataquery,
    minimum: float | None = 0,
    maximum: float | None = None,
    at_least: float | None = None,
    decimals: int | None = None,
    limits: Sequence[str] = (),
    stacked: bool = False,
    colours: dict[str, str] | None = None,
    none: str = NOTHING_KNOWN,
) -> timeseries.Panel:
    """Lines over time; gaps stay gaps, since what nobody measured is not drawn.

    *limits* are legends drawn dashed: what the line is held against. *colours* are by legend.
    """
    panel = (
        _named(timeseries.Panel(), title, description, at)
        .unit(unit)
        .no_value(none)
        .override_by_regexp("/.*/", [NOT_IN_GAPS])
        .line_width(2)
        .fill_opacity(60 if stacked else 8)
        .show_points(common_models.VisibilityMode.AUTO)
        .span_nulls(False)
        .tooltip(
            common.VizTooltipOptions()
            .mode(common_models.TooltipDisplayMode.MULTI)
            .sort(common_models.SortOrder.DESCENDING)
        )
        .legend(
            common.VizLegendOptions()
            .display_mode(common_models.LegendDisplayMode.LIST)
            .placement(common_models.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .targets(list(targets))
    )
    if minimum is not None:
        panel = panel.min(minimum)
    if maximum is not None:
        panel = panel.max(maximum)
    if at_least is not None:
        panel = panel.axis_soft_max(at_least)
    if stacked:
        panel = panel.stacking(common.StackingConfig().mode(common_models.StackingMode.NORMAL)).line_width(0)
    for legend, colour in (colours or {}).items():
        panel = panel.override_by_name(legend, [Property("color", {"mode": "fixed", "fixedColor": colour})])
    for legend in limits:
        panel = panel.override_by_name(
            legend,
            [
                Property("custom.lineStyle", {"fill": "dash", "dash": [8, 6]}),
                Property("custom.lineWidth", 1),
                Property("custom.fillOpacity", 0),
                Property("custom.stacking", {"mode": "none"}),
            ],
        )
    return panel if decimals is None else panel.decimals(decimals)


def bars(
    title: str,
    description: str,
    at: Place,
    unit: str,
    expression: str | Sequence[str],
    legend: str,
    *,
    none: str,
    colours: Steps = ((None, OK),),
    decimals: int | None = None,
    minimum: float | None = 0,
    maximum: float | None = None,
    link: tuple[str, str] | None = None,
) -> bargauge.Panel:
    """A few named values of the moment, longest first: a ``topk`` belongs here and never over time.

    Of several expressions the bars are in their order.
    """
    expressions = [expression] if isinstance(expression, str) else expression
    panel = (
        _named(bargauge.Panel(), title, description, at)
        .unit(unit)
        .no_value(none)
        .orientation(common_models.VizOrientation.HORIZONTAL)
        .display_mode(common_models.BarGaugeDisplayMode.BASIC)
        .value_mode(common_models.BarGaugeValueMode.TEXT)
        # Else the words for nothing stand beside a large empty bar.
        .show_unfilled(False)
        # Else names are cut: Grafana makes room for the one of most letters, which may be narrower than another.
        .text(common.VizTextDisplayOptions().title_size(11))
        # Else one that is alone fills the panel.
        .sizing(common_models.BarGaugeSizing.MANUAL)
        .min_viz_height(16)
        .max_viz_height(40)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .thresholds(steps(*colours))
    )
    for index, one in enumerate(expressions):
        panel = panel.with_target(instant(one, chr(65 + index), legend=legend))
    if minimum is not None:
        panel = panel.min(minimum)
    if maximum is not None:
        panel = panel.max(maximum)
    if link:
        panel = panel.data_links([builders.DashboardLink(link[0]).url(link[1])])
    # A bar that is alone loses its name, unless this says it.
    panel = panel.display_name(re.sub(r"\{\{(\w+)\}\}", r"${__field.labels.\1}", legend))
    return panel if decimals is None else panel.decimals(decimals)


def timeline(
    title: str,
    description: str,
    at: Place,
    states: dict[int, tuple[str, str]],
    *targets: prometheus.Dataquery,
    none: str = NOTHING_KNOWN,
) -> statetimeline.Panel:
    """States over time; *states* maps a value to its word and colour."""
    return (
        _named(statetimeline.Panel(), title, description, at)
        .no_value(none)
        .override_by_regexp("/.*/", [NOT_IN_GAPS])
        .merge_values(True)
        .show_value(common_models.VisibilityMode.AUTO)
        .row_height(0.8)
        .mappings([value_map(states)])
        .targets(list(targets))
    )


def value_map(states: dict[int, tuple[str, str]]) -> models.ValueMap:
    """Words and colours for numbers."""
    return models.ValueMap(
        options={
            str(value): models.ValueMappingResult(text=text, color=colour, index=index)
            for index, (value, (text, colour)) in enumerate(states.items())
        }
    )


class Column:
    """One column of a table: an instant query and how its values look; or a label, if there is no query.

    *also* are labels that this query brings as columns of their own; a query of which only those are shown is
    *hidden*.
    """

    def __init__(
        self,
        expression: str = "",
        look: Sequence[Property] = (),
        *,
        also: tuple[str, ...] = (),
        hidden: bool = False,
        title: str = "",
        width: int = 0,
    ) -> None:
        self.expression, self.also, self.hidden = expression, also, hidden
        self.look = list(look)
        if title:
            self.look.append(Property("displayName", title))
        if width:
            self.look.append(Property("custom.width", width))


def list_of(
    title: str,
    description: str,
    at: Place,
    columns: dict[str, Column],
    *,
    sort: Sequence[tuple[str, bool]],
    by: tuple[str, ...] = ("job", "instance"),
    none: str | None = None,
    pages: bool = False,
    where: str = "",
) -> table.Panel:
    """One row for each *by*; *columns* are in the order shown, *none* stands for no rows.

    Grafana makes one row of what agrees in every field, the name of the metric included: so each query keeps
    the labels *by* and no other, but for those that are columns themselves, which one query has *also*.
    *sort* is (title, descending), *where* an expression every row must be in.
    """
    panel = (
        _named(table.Panel(), title, description, at)
        .cell_height(common_models.TableCellHeight.SM)
        .min_width(90)
        .override_by_regexp("/.*/", [Property("custom.wrapHeaderText", True)])
        .footer(common.TableFooterOptions().show(False).reducer([]).enable_pagination(pages))
    )
    shown = [name for name, column in columns.items() if not column.hidden]
    for name, column in columns.items():
        if column.expression:
            labels = ", ".join((*by, *column.also))
            asked = f"max by ({labels}) ({column.expression})"
            if where:
                asked = f"{asked} and on ({', '.join(by)}) {where}"
            panel = panel.with_target(instant(asked, name, as_table=True))
    panel = (
        panel.with_transformation(transformation("merge", {}))
        .with_transformation(transformation("renameByRegex", {"regex": "Value #(.*)", "renamePattern": "$1"}))
        # A table of one query has plain Value for it.
        .with_transformation(
            transformation("renameByRegex", {"regex": "^Value$", "renamePattern": shown_first(columns)})
        )
    )
    if none is not None:
        # Grafana prints it in every cell without a value too, unless the columns have one of their own.
        panel = panel.no_value(none).override_by_regexp("/.*/", [Property("noValue", "")])
        for step in _nothing_without_labels(columns, by):
            panel = panel.with_transformation(step)
    panel = (
        panel.with_transformation(transformation("filterFieldsByName", {"include": {"names": shown}}))
        .with_transformation(
            transformation("organize", {"indexByName": {name: index for index, name in enumerate(shown)}})
        )
        .sort_by([common.TableSortByFieldState().display_name(name).desc(down) for name, down in sort])
    )
    for name, column in columns.items():
        if not column.hidden:
            panel = panel.override_by_name(name, [*column.look, *_in_one_line(name, column.look)])
    return panel


def _in_one_line(name: str, look: Sequence[Property]) -> list[Property]:
    """A title of one word does not go into two lines; with an arrow beside it Grafana would take it apart."""
    title = next((shown.value for shown in look if shown.id_val == "displayName"), name)
    return [] if " " in title else [Property("custom.wrapHeaderText", False)]


def _nothing_without_labels(columns: dict[str, Column], by: tuple[str, ...]) -> list[Any]:
    """Several queries that find nothing are still columns of values, whose bare titles would hide the words.

    Grafana's groupBy leaves out what has none of the labels. Each row is a group of its own.
    """
    labels = [*by, *(name for column in columns.values() for name in column.also)]
    fields: dict[str, Any] = {name: {"operation": "groupby", "aggregations": []} for name in labels}
    for name, column in columns.items():
        if column.expression and not column.hidden:
            fields[name] = {"operation": "aggregate", "aggregations": ["lastNotNull"]}
    return [
        transformation("groupBy", {"fields": fields}),
        transformation("renameByRegex", {"regex": r"^(.+) \(lastNotNull\)$", "renamePattern": "$1"}),
    ]


def room_map(
    title: str, description: str, at: Place, expression: str, words: dict[int, tuple[str, str]]
) -> table.Panel:
    """Sites down, the worst first, racks across, one word in each cell; *expression* is by site and rack."""
    return (
        _named(table.Panel(), title, description, at)
        .no_value("No miner is known")
        .override_by_regexp("/.*/", [Property("noValue", "")])
        .cell_height(common_models.TableCellHeight.SM)
        .with_target(instant(expression, as_table=True))
        .with_transformation(transformation("sortBy", {"sort": [{"field": "rack"}]}))
        .with_transformation(
            transformation(
                "groupingToMatrix",
                {"columnField": "rack", "rowField": "site", "valueField": "Value", "emptyValue": "null"},
            )
        )
        # Of many sites only a few are in sight.
        .with_transformation(
            transformation(
                "calculateField", {"mode": "reduceRow", "reduce": {"reducer": "max"}, "alias": WORST_OF_SITE}
            )
        )
        # Rack 10 after rack 9; those with names come last.
        .with_transformation(
            transformation(
                "organize",
                {"indexByName": {"site\\rack": 0, **{str(rack): rack for rack in range(1, 100)}}},
            )
        )
        # The table's own order is natural, barn2 before barn10; that of transformations is not.
        .sort_by(
            [
                common.TableSortByFieldState().display_name(name).desc(down)
                for name, down in ((WORST_OF_SITE, True), ("Site", False))
            ]
        )
        # Ten racks fit in half a screen, beside Grafana's menu.
        .override_by_field_type("number", [*mapped(words), Property("custom.width", 68)])
        .override_by_name("site\\rack", [Property("displayName", "Site"), Property("custom.width", 85)])
        .override_by_name(WORST_OF_SITE, unseen().look)
    )


def chips(
    title: str, description: str, at: Place, expression: str, look: Sequence[Property], *, beside: int = 1
) -> table.Panel:
    """A board's chips in rows of ten; one such panel for each board chosen, *beside* one another or below."""
    placed = expression
    for ten, one, digits in (("000", "$1", "(.)"), ("0${1}0", "$2", "(.)(.)"), ("${1}0", "$2", "(..)(.)")):
        placed = (
            f'label_replace(label_replace({placed}, "ten", "{ten}", "chip", "{digits}"),'
            f' "one", "{one}", "chip", "{digits}")'
        )
    panel = (
        _named(table.Panel(), title, description, at)
        .cell_height(common_models.TableCellHeight.SM)
        # Grafana makes no column smaller.
        .min_width(50)
        .repeat("board")
        .repeat_direction("v")
        .with_target(instant(f"max by (ten, one) ({placed})", as_table=True))
        .with_transformation(transformation("sortBy", {"sort": [{"field": "ten"}]}))
        .with_transformation(
            transformation(
                "groupingToMatrix",
                {"columnField": "one", "rowField": "ten", "valueField": "Value", "emptyValue": "null"},
            )
        )
        # Of boards whose chips are counted from 1 the first row has no column 0.
        .with_transformation(
            transformation(
                "organize", {"indexByName": {"ten\\one": 0, **{str(one): 1 + one for one in range(10)}}}
            )
        )
        # Grafana prints it in every cell without a value too, unless the columns have one of their own.
        .no_value("Nothing is told of its chips")
        .override_by_regexp("/.*/", [Property("noValue", "")])
        .override_by_field_type("number", list(look))
        .override_by_name("ten\\one", [Property("displayName", "Chip")])
    )
    return panel.repeat_direction("h").max_per_row(beside) if beside > 1 else panel


def facts(title: str, description: str, at: Place, *expressions: str) -> table.Panel:
    """The labels of info series as a list of two columns."""
    panel = (
        _named(table.Panel(), title, description, at)
        .no_value("Nothing is known of it")
        .override_by_regexp("/.*/", [Property("noValue", "")])
        .cell_height(common_models.TableCellHeight.SM)
    )
    for index, expression in enumerate(expressions):
        panel = panel.with_target(instant(expression, chr(65 + index)))
    return panel.with_transformation(transformation("labelsToFields", {"mode": "rows"})).with_transformation(
        transformation("merge", {})
    )


def shown_first(columns: dict[str, Column]) -> str:
    """The name of the first column that is a query's value."""
    return next(name for name, column in columns.items() if column.expression)


def transformation(kind: str, options: dict[str, Any]) -> models.DataTransformerConfig:
    """One transformation of a table's frames."""
    return models.DataTransformerConfig(id_val=kind, options=options)


def on_the_right() -> list[Property]:
    """A line with an axis of its own, dotted."""
    return [
        Property("custom.axisPlacement", "right"),
        Property("custom.lineStyle", {"fill": "dot", "dash": [2, 6]}),
        Property("custom.fillOpacity", 0),
    ]


def shown_as(unit: str, decimals: int | None = None) -> list[Property]:
    """A column's unit."""
    made = [Property("unit", unit)]
    return made if decimals is None else [*made, Property("decimals", decimals)]


def coloured(*pairs: tuple[float | None, str]) -> list[Property]:
    """A column's text in the colour of its value."""
    return [
        Property("thresholds", _steps(pairs)),
        Property("custom.cellOptions", {"type": "color-text"}),
    ]


def backed(*pairs: tuple[float | None, str]) -> list[Property]:
    """A column's cells filled with the colour of their value."""
    return [
        Property("thresholds", _steps(pairs)),
        Property("custom.cellOptions", {"type": "color-background", "mode": "basic"}),
    ]


def graded(scheme: str, low: float, high: float) -> list[Property]:
    """A column's cells filled from a scale of colours that ends at *low* and *high*; none where no value is."""
    nothing = {
        "type": "special",
        "options": {"match": "null", "result": {"text": "", "color": "transparent"}},
    }
    return [
        Property("color", {"mode": scheme}),
        Property("min", low),
        Property("max", high),
        Property("mappings", [nothing]),
        Property("custom.cellOptions", {"type": "color-background", "mode": "basic"}),
    ]


def mapped(words: dict[int, tuple[str, str]]) -> list[Property]:
    """A column of numbers that are words."""
    return [
        Property("mappings", _mappings(words)),
        # A cell without a value is painted in the colour of the lowest threshold.
        Property("thresholds", _steps(((None, "transparent"),))),
        Property("custom.cellOptions", {"type": "color-background", "mode": "basic"}),
    ]


TIMED = "${datasource:queryparam}&${__url_time_range}"
KEPT = "${datasource:queryparam}&${job:queryparam}&${__url_time_range}"


def linked(title: str, url: str) -> list[Property]:
    """A column whose cells lead somewhere."""
    return [Property("links", [{"title": title, "url": url}])]


def miner(width: int = 0) -> Column:
    """The miner's name, which leads to its dashboard."""
    return Column(
        look=linked("All about this miner", f"/d/{MINER}?{KEPT}&var-miner=${{__value.text}}"),
        title="Miner",
        width=width,
    )


def linking(title: str, uid: str, variable: str, width: int = 0) -> Column:
    """A label that leads to a dashboard narrowed to it."""
    look = linked("All about it", f"/d/{uid}?{TIMED}&var-{variable}=${{__value.text}}")
    return Column(look=look, title=title, width=width)


def label(title: str, width: int = 0) -> Column:
    """A label as a column."""
    return Column(title=title, width=width)


def severity(expression: str, names: dict[int, tuple[str, str]]) -> Column:
    """How bad it is, in one line as wide as its title."""
    return Column(expression, mapped(names), width=82)


def words(title: str, *, about: bool = False) -> Column:
    """A label of several words, which takes more lines where there is little room; it leads to the miner it is *about*.

    Only one column of a table may: Grafana fits a row's height to one of them.
    """
    look = [Property("custom.wrapText", True)]
    if about:
        look += linked("All about this miner", f"/d/{MINER}?{KEPT}&var-miner=${{__data.fields.instance}}")
    return Column(look=look, title=title)


def unseen() -> Column:
    """A label that another column's link needs."""
    return Column(look=[Property("custom.hideFrom.viz", True)])


def datasource() -> Any:
    """The choice of Prometheus."""
    return builders.DatasourceVariable("datasource").label("Data source").type("prometheus")


def choice(name: str, title: str, ask: str, *, single: bool = False, only_these: bool = False) -> Any:
    """A filter with the values *ask* gives; all are *only_these*, where others have the label too."""
    made = (
        builders.QueryVariable(name)
        .label(title)
        .datasource(DATASOURCE)
        .query({"query": ask, "refId": name})
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.NATURAL_ASC)
        .multi(not single)
        .include_all(not single)
    )
    if single:
        return made
    if not only_these:
        # Not everybody has sites and racks: all are also those without such a label.
        made = made.all_value(".*" if name in ("site", "rack") else ".+")
    return made.current(models.VariableOption(selected=True, text="All", value="$__all"))


def hidden(name: str, title: str, expression: str) -> Any:
    """The instances that *expression* finds, for queries that would else ask for too much; nobody chooses."""
    return (
        choice(name, title, f"query_result({filtered(expression)})", only_these=True)
        .regex('/instance="([^"]+)"/')
        .hide(models.VariableHide.HIDE_VARIABLE)
    )


def filters(*, single: bool = False) -> list[Any]:
    """Data source, job, site, rack and miner, each within the one before."""
    made: list[Any] = [datasource()]
    selector = ""
    for name, title, of in (
        ("job", "Job", "job"),
        ("site", "Site", "site"),
        ("rack", "Rack", "rack"),
        ("miner", "Miner", "instance"),
    ):
        ask = f"label_values(vnish_up{{{selector}}}, {of})"
        made.append(choice(name, title, ask, single=single and name == "miner"))
        selector += f'{", " if selector else ""}{of}=~"${name}"'
    return made


def account() -> Any:
    """The choice of a pool's account."""
    return choice("account", "Pool account", "label_values(mining_pool_up, instance)")


def annotation(name: str, colour: str, expression: str, title: str, text: str, *, shown: bool = True) -> Any:
    """Marks in all graphs at what *expression* finds."""
    return (
        builders.AnnotationQuery()
        .name(name)
        .datasource(DATASOURCE)
        .enable(shown)
        .icon_color(colour)
        .expr(filtered(expression))
        .step("60s")
        .title_format(title)
        .text_format(text)
    )


def begins(matchers: str) -> str:
    """The first five minutes of the alerts that fire: all the time they do would be painted over the lines."""
    firing = f'ALERTS{{{matchers}, alertstate="firing"}}'
    return f"{firing} unless {firing} offset 5m"


def annotations(*, all_shown: bool) -> list[Any]:
    """Firing alerts, restarts and changes of preset; of a whole fleet they would hide the graphs, and are there to be chosen."""
    ours = 'F, alertname=~"Minefleet.*"'
    return [
        annotation(
            "Critical alerts",
            "red",
            begins(ours + ', severity="critical"'),
            "{{alertname}}",
            "{{instance}}",
            shown=all_shown,
        ),
        annotation(
            "Warnings",
            "orange",
            begins(ours + ', severity="warning"'),
            "{{alertname}}",
            "{{instance}}",
            shown=all_shown,
        ),
        annotation(
            "Restarts",
            "purple",
            "changes(vnish_restarts_total{F}[2m]) > 0",
            "mining restarted",
            "{{instance}}",
            shown=all_shown,
        ),
        annotation(
            "Presets",
            "blue",
            "(vnish_preset_info{F} unless vnish_preset_info{F} offset 2m)"
            " and on (job, instance) vnish_preset_info{F} offset 2m",
            "preset {{preset}}",
            "{{instance}}",
            shown=all_shown,
        ),
    ]
