"""The loss ledger: from what the miners could hash to what the pool credits, and where the difference goes."""

from __future__ import annotations

from typing import Any

from vocabulary import (
    BAD,
    HASHRATE,
    LOSS,
    OFF,
    OK,
    PLAIN,
    SHARE,
    USD,
    WARN,
    Column,
    annotations,
    bars,
    board_of,
    choice,
    coloured,
    filters,
    graph,
    label,
    lines,
    list_of,
    miner,
    shown_as,
)

UID = LOSS

# In the order the rules take them, with what to call and how to paint each.
CAUSES = {
    "offline": ("does not answer", BAD),
    "stopped": ("answers, does not hash", WARN),
    "tuning": ("starts or tunes itself", "yellow"),
    "throttled": ("throttled", "dark-yellow"),
    "board": ("dead boards", "purple"),
    "chips": ("dead chips", "light-purple"),
    "unexplained": ("weak, unexplained", OFF),
    "rejects": ("shares rejected", "light-blue"),
    "pool": ("not credited", OK),
}
WORDS = "; ".join(f"{cause} is {word}" for cause, (word, _) in CAUSES.items())
HASHES = 'instance_cause:vnish_lost_hashes_per_second:estimate{F, cause=~"$cause"}'
DOLLARS = 'instance_cause:minefleet_lost_revenue_usd_per_day:estimate{F, cause=~"$cause"}'
ALGORITHM = " * on (job, instance) group_left (algorithm) instance:vnish_algorithm_info:last{F}"
# Held while the miner is down, since what it could hash is still lost then.
EXPECTED = "instance:vnish_expected_hashrate_hashes_per_second:last{F}"
STOCK = (
    "(last_over_time(vnish_hashrate_stock_hashes_per_second{F}[1d])"
    f" or on (job, instance) max by (job, instance) ({EXPECTED}))"
)
CREDITED = "instance:mining_pool_credited_hashes_per_second:known{F}"
_HASHED = "instance:vnish_owner_hashrate_hashes_per_second:known{F}"
# What a stolen miner hashes is another's.
OWN = f"({_HASHED} unless on (job, instance) instance:minefleet_stolen:bool{{F}} or {_HASHED} * 0)"
# None of a miner that is down: where all are, the step would be left out.
REAL = f"(vnish_hashrate_hashes_per_second{{F}} or on (job, instance) {OWN} * 0)"


def dashboard() -> Any:
    """The dashboard's builder."""
    return board_of(
        UID,
        "Mining: loss ledger",
        "From what the miners could hash to what the pool credits, in hashes and dollars a day: where the"
        " difference goes, by cause and by miner.",
        [*_ledger(), *_causes(), *_miners()],
        [
            *filters(),
            choice(
                "cause", "Cause", "label_values(instance_cause:vnish_lost_hashes_per_second:estimate, cause)"
            ),
        ],
        annotations=annotations(all_shown=False),
        since="now-7d",
        refresh="5m",
    )


# From what could be to what is paid for; each of the miners' own series.
STEPS = {
    "stock": STOCK,
    "preset": EXPECTED,
    "real": REAL,
    "owner's": OWN,
    "accepted": f"{OWN} * on (job, instance) group_left ()"
    f" (1 - (instance:vnish_shares_rejected:ratio30m{{F}} or on (job, instance) {OWN} * 0))",
    "credited": CREDITED,
}
IN_WORDS = (
    "what the models give with factory settings, as far as the miners tell; what their presets should give (a miner that is down counts"
    " with its own); what they do give; that without the firmware's fee and what goes to somebody else's pool;"
    " that less the shares that are rejected; and what the pools credit, over the last hour or the minutes they tell of: luck is in it, and it"
    " follows late."
)


def _ledger() -> list[Any]:
    price = "max by (job, instance) (instance:mining_pool_usd_per_hash:max{F})"
    return [
        bars(
            "From stock to credit: how much is left at each step?",
            f"All hashes a second of now: {IN_WORDS}",
            (0, 0, 12, 8),
            HASHRATE,
            [_called(name, f"sum by (algorithm) (({step}){ALGORITHM})") for name, step in STEPS.items()],
            "{{step}}, {{algorithm}}",
            decimals=2,
            none="Nothing is known of any miner",
        ),
        bars(
            "And what is that worth a day?",
            f"The same in dollars a day at the price of now: {IN_WORDS}",
            (12, 0, 12, 8),
            USD,
            [
                _called(name, f"sum(({step}) * on (job, instance) group_left () {price}) * 86400")
                for name, step in STEPS.items()
            ],
            "{{step}}",
            decimals=2,
            none="No price is known",
        ),
    ]


def _called(step: str, expression: str) -> str:
    return f'label_replace({expression}, "step", "{step}", "", "")'


def _causes() -> list[Any]:
    colours = {cause: colour for cause, (_, colour) in CAUSES.items()}
    return [
        bars(
            "What does each cause take, in dollars a day?",
            f"Lost revenue of now by cause, all miners together. The causes: {WORDS}.",
            (0, 8, 12, 9),
            USD,
            f"sort_desc(sum by (cause) ({DOLLARS}))",
            "{{cause}}",
            colours=((None, WARN),),
            decimals=2,
            none="nothing, or no price is known",
        ),
        bars(
            "And over the whole time shown?",
            "Dollars lost by cause since the beginning of the time shown, at each moment's price.",
            (12, 8, 12, 9),
            USD,
            f"sort_desc(sum by (cause) (sum_over_time({DOLLARS}[$__range:5m])) / 288)",
            "{{cause}}",
            colours=((None, BAD),),
            decimals=2,
            none="nothing, or no price was known",
        ),
        graph(
            "When was it lost, and why?",
            "Lost revenue in dollars a day by cause, over time.",
            (0, 17, 12, 10),
            USD,
            *lines(("{{cause}}", f"sum by (cause) ({DOLLARS})")),
            stacked=True,
            # Else a few cents are a mountain.
            at_least=1,
            decimals=2,
            colours=colours,
            none="nothing was lost, or no price was known",
        ),
        graph(
            "The same in hashes",
            "Hashes a second that are missing by cause, over time: where no price is known, this is.",
            (12, 17, 12, 10),
            HASHRATE,
            *lines(("{{cause}}", f"sum by (cause) ({HASHES})")),
            stacked=True,
            colours=colours,
            none="nothing was lost, as far as is known",
        ),
        list_of(
            "Which site loses most?",
            "Lost revenue of now by site, in dollars a day.",
            (0, 27, 8, 12),
            {
                "site": label("Site"),
                "Lost": Column(f"sum by (site) ({DOLLARS})", shown_as(USD, 2), title="Lost a day"),
            },
            by=("site",),
            sort=(("Lost a day", True),),
            none="None does, or no price is known",
        ),
    ]


def _miners() -> list[Any]:
    return [
        list_of(
            "Which miner loses it, and to what?",
            "The two hundred largest losses of now: one row for each miner and cause.",
            (8, 27, 16, 12),
            {
                "instance": miner(150),
                "cause": label("Cause", 120),
                "Dollars": Column(
                    DOLLARS, [*shown_as(USD, 2), *coloured((None, PLAIN), (1, WARN))], title="Lost a day"
                ),
                "Hashes": Column(HASHES, shown_as(HASHRATE, 2), title="Hashes missing"),
                "Of expected": Column(
                    f"{HASHES} / on (job, instance) group_left () (max by (job, instance) ({EXPECTED}) > 0)",
                    shown_as(SHARE, 0),
                    title="Of what it should",
                ),
            },
            by=("job", "instance", "cause"),
            where=f"topk(200, {HASHES})",
            sort=(("Lost a day", True), ("Hashes missing", True)),
            none="No miner is known to lose anything",
            pages=True,
        ),
    ]
