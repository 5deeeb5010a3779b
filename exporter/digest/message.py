"""A digest as text: the same for Slack and e-mail."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from exporter.digest.figures import Digest


def subject(digest: Digest) -> str:
    """The one fact, and the day."""
    profit = digest.profit_usd
    told = "profit unknown" if profit is None else f"profit {_usd(profit)}"
    return f"Mining on {digest.day.on:%a %d %b}: {told}"


def text(digest: Digest) -> str:
    """A few short lines."""
    return _template().render(d=digest).strip()


def _usd(amount: float | None) -> str:
    if amount is None:
        return "unknown"
    return f"${amount:,.2f}" if amount >= 0 else f"-${-amount:,.2f}"


def _coins(amount: float) -> str:
    return f"{amount:,.0f}" if amount >= 1000 else f"{amount:.5g}"


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("exporter.digest"),
        # Plain text; Slack's three special characters are escaped where it is sent.
        autoescape=False,  # noqa: S701
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        usd=_usd, coins=_coins, share=lambda ratio: f"{ratio:.1%}", percent=lambda ratio: f"{ratio:.2%}"
    )
    return environment.get_template("digest.txt")
