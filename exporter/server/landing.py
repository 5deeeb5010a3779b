"""The landing page: the fleet at a glance, a form to probe by hand, links; no scripts, no secrets.

Here is HTML and nothing else; what it says is an :class:`~exporter.server.overview.Overview`.
"""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from exporter import __version__
from exporter.server.overview import Overview
from exporter.units import efficiency_text, hashrate_text


def page(view: Overview) -> str:
    """The page as HTML."""
    return (
        environment().get_template("landing.html").render(view=view, totals=view.totals, version=__version__)
    )


@cache
def environment() -> Environment:
    """What all pages are made with."""
    made = Environment(
        loader=PackageLoader("exporter.server"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        hashrate=hashrate_text,
        efficiency=efficiency_text,
        share=lambda ratio: f"{ratio:.0%}",
        usd=lambda amount: f"${amount:,.2f}" if amount >= 0 else f"-${-amount:,.2f}",
        watts=lambda power: f"{power:,.0f} W",
        kilowatts=lambda power: f"{power / 1000:.2f} kW",
        celsius=lambda degrees: f"{degrees:.0f} °C",
        age=lambda seconds: f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min",
    )
    return made
