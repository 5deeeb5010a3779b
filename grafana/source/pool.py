"""Pool and profit: is the pool crediting what the miners hash, what it pays, and when mining pays no more."""

from __future__ import annotations

from typing import Any

from fleet import ELECTRICITY, POWER, REVENUE
from vocabulary import (
    AGE,
    BAD,
    COINS,
    COUNT,
    HASHRATE,
    OFF,
    OK,
    PLAIN,
    POOL,
    SHARE,
    USD,
    WARN,
    Column,
    Figure,
    account,
    annotation,
    begins,
    board_of,
    coloured,
    figures,
    filters,
    graph,
    label,
    lines,
    list_of,
    mapped,
    miner,
    row,
    shown_as,
)

UID = POOL

ACCOUNT = ("job", "instance")
WORKER = ("job", "instance", "worker")
COIN = ("job", "instance", "coin")
PRICE = "instance:mining_pool_usd_per_hash:sum{P}"
PER_GIGAHASH_DAY = " * 1e9 * 86400"
KWH = 3.6e6
# A pool tells of what was up to half an hour ago: of the first hour it credits less than was hashed by then.
SETTLED = "instance_worker:vnish_owner_hashrate_hashes_per_second:1h{P} offset 30m"
CREDITED = (
    f"(instance_worker:mining_pool_credited_per_hashed:ratio1h{{P}} and on (job, instance, worker) {SETTLED})"
)
# But for those whose miners do not hash for the account, or are rejected: nothing of that is the pool's doing.
HELD = "instance_worker:mining_pool_credited_per_hashed:held1h{P}"
ERROR = "instance_worker:mining_pool_credited_per_hashed:stderr1h{P}"
# What was hashed since the pool's figures is not credited yet.
LATE = (
    '((time() - max by (job, instance) (mining_pool_data_timestamp_seconds{P, kind="account"})) / 3600'
    " or on (job, instance) mining_pool_up{P} * 0)"
)
# Two standard errors: one look in twenty is outside by chance.
LUCK = f"(2 * {ERROR} + on (job, instance) group_left () {LATE})"
VERDICT = (
    f"({CREDITED} unless on (job, instance, worker) {HELD}) * 0 + 3"
    f" or ({CREDITED} < bool on (job, instance, worker) (1 - {LUCK}))"
    f" * -1 + on (job, instance, worker) ({CREDITED} > bool on (job, instance, worker) (1 + {LUCK}))"
    # Luck is known by the number of shares.
    f" or {CREDITED} * 0 + 2"
)


def dashboard() -> Any:
    """The dashboard's builder."""
    return board_of(
        UID,
        "Mining: pool and profit",
        "Is the pool crediting what the miners hash, what does it pay, and at which price of electricity does"
        " mining stop to pay.",
        [*_accounts(), *_credited(), *_money(), *_coins()],
        [*filters(), account()],
        annotations=[
            annotation(
                "Pool alerts",
                "red",
                begins('alertname=~"MinefleetPool.*", instance=~"$account"'),
                "{{alertname}}",
                "{{instance}}",
            )
        ],
        since="now-24h",
    )


def _accounts() -> list[Any]:
    return [
        list_of(
            "Does each pool answer, and how old is what it says?",
            "One row for each account. A column is empty where its pool does not tell; the age is that of the"
            " newest figures, by the pool's own date where it has one.",
            (0, 0, 24, 6),
            {
                "instance": label("Account", 130),
                "Type": Column("mining_pool_info{P}", also=("type",), hidden=True),
                "type": label("Pool", 120),
                # Nor is there data where Prometheus gets no page of it.
                "Answers": Column(
                    'mining_pool_up{P} or on (job, instance) up{P, job="minefleet-pools"} * 0',
                    mapped({0: ("no data", BAD), 1: ("ok", OK)}),
                    width=85,
                ),
                "Age": Column(
                    'time() - mining_pool_data_timestamp_seconds{P, kind=~"profitability|account"}',
                    shown_as(AGE, 0),
                    title="Age of its figures",
                ),
                "Stale": Column(
                    '(time() - mining_pool_data_timestamp_seconds{P, kind="profitability"}) > bool'
                    " on (job, instance) group_left () minefleet_threshold_pool_data_age_seconds{P}",
                    mapped({0: ("fresh", OK), 1: ("stale", BAD)}),
                    title="Prices",
                    width=85,
                ),
                "Credited": Column(
                    'mining_pool_hashrate_hashes_per_second{P, window="now"}',
                    shown_as(HASHRATE, 2),
                    title="Credits now",
                ),
                "Online": Column(
                    'mining_pool_workers{P, state="online"}', shown_as(COUNT, 0), title="Workers online"
                ),
                "Offline": Column(
                    'mining_pool_workers{P, state="offline"}',
                    [*shown_as(COUNT, 0), *coloured((None, PLAIN), (1, WARN))],
                    title="Workers offline",
                ),
                "Pays": Column(
                    "mining_pool_pays_ratio{P}", shown_as(SHARE, 1), title="Pays of a share's worth"
                ),
                "Fee": Column("mining_pool_fee_ratio{P}", shown_as(SHARE, 1)),
                "Left": Column(
                    "mining_pool_request_budget_remaining{P}",
                    shown_as(COUNT, 0),
                    title="Requests left this hour",
                ),
            },
            sort=(("Account", False),),
            none="No pool is configured",
        ),
    ]


def _credited() -> list[Any]:
    counted = f" and on (job, instance, worker) {HELD} and on (job, instance, worker) {SETTLED})"
    shares = (
        "sum by (job, instance) (instance_worker:mining_pool_credited_hashes_per_second:1h{P}"
        + counted
        + " / sum by (job, instance) (instance_worker:vnish_owner_hashrate_hashes_per_second:1h{P}"
        + counted
    )
    error = (
        f"2 / sqrt(sum by (job, instance) (instance_worker:vnish_shares_accepted:1h{{P}}{counted} > 0)"
        f" + on (job, instance) {LATE}"
    )
    return [
        graph(
            "Is the pool crediting what my miners hash?",
            "Work credited in the last hour for each hash done, without the firmware's fee, and without miners that"
            " mine for somebody else, are rejected or not seen. Luck alone keeps it"
            " between the dashed lines nineteen times of twenty; long below them the pool takes more than its fee.",
            (0, 6, 12, 10),
            SHARE,
            *lines(
                ("{{instance}}", shares),
                ("most by luck", f"1 + max({error})"),
                ("least by luck", f"1 - max({error})"),
            ),
            minimum=None,
            decimals=1,
            limits=("most by luck", "least by luck"),
            colours={"most by luck": OFF, "least by luck": WARN},
            # Else half a percent fills the panel.
            at_least=1.05,
            none="known an hour and a half after the start",
        ).axis_soft_min(0.9),
        list_of(
            "Which worker is credited too little?",
            "Credited for each hash of the last hour, and how far luck and the age of the pool's figures may carry"
            " it: two standard errors, from the number of its shares, and what is not credited yet; a miner may not"
            " tell them. Nor is the pool to blame where the miner's own troubles explain it.",
            (12, 6, 12, 10),
            {
                "worker": label("Worker", 190),
                "Credited": Column(CREDITED, shown_as(SHARE, 1), title="Credited per hashed", width=120),
                "Luck": Column(LUCK, shown_as(SHARE, 1), title="Luck, ±", width=75),
                "Verdict": Column(
                    VERDICT,
                    mapped(
                        {
                            -1: ("too little", BAD),
                            0: ("as expected", OK),
                            1: ("more", OFF),
                            2: ("no shares told", OFF),
                            3: ("see its miner", WARN),
                        }
                    ),
                    width=125,
                ),
                "By pool": Column(
                    "instance_worker:mining_pool_credited_hashes_per_second:1h{P}",
                    shown_as(HASHRATE, 2),
                    title="The pool credits",
                ),
                "By miner": Column(
                    "instance_worker:vnish_owner_hashrate_hashes_per_second:1h{P}",
                    shown_as(HASHRATE, 2),
                    title="The miner hashes",
                ),
            },
            by=WORKER,
            sort=(("Verdict", False), ("Credited per hashed", False)),
            where=CREDITED,
            none="Known an hour and a half after the start, where the pool tells of workers",
            pages=True,
        ),
        list_of(
            "Which workers does the pool miss?",
            "Workers the pool knows and does not see now, with the miner that mines as each.",
            (0, 16, 8, 8),
            {
                "worker": label("Worker"),
                "Online": Column(
                    "mining_pool_worker_online{P} == 0", mapped({0: ("offline", BAD)}), width=85
                ),
                "Last": Column(
                    "(time() - mining_pool_worker_last_share_timestamp_seconds{P})"
                    " and on (job, instance, worker) mining_pool_worker_online{P} == 0",
                    shown_as(AGE, 0),
                    title="Last share, ago",
                ),
            },
            by=WORKER,
            sort=(("Last share, ago", True),),
            none="The pool is not known to miss any",
        ),
        list_of(
            "Who hashes unseen by the pool?",
            "Miners that hash and that their account does not see: they mine for somebody else or for nobody.",
            (8, 16, 8, 8),
            {
                "instance": miner(),
                "Unseen": Column(
                    "instance:minefleet_unseen_by_pool:bool{F}", mapped({1: ("unseen", BAD)}), width=90
                ),
                "Hashrate": Column(
                    "vnish_hashrate_hashes_per_second{F} and on (job, instance) instance:minefleet_unseen_by_pool:bool{F}",
                    shown_as(HASHRATE, 2),
                ),
            },
            sort=(("Hashrate", True),),
            none="None is known to",
        ),
        list_of(
            "Whose workers are they?",
            "Workers the pool sees and of whom no configured miner is known.",
            (16, 16, 8, 8),
            {
                "instance": label("Account"),
                "worker": label("Worker"),
                "Unknown": Column(
                    "instance_worker:mining_pool_worker_unknown:bool{P}",
                    mapped({1: ("unknown", WARN)}),
                    width=90,
                ),
            },
            by=WORKER,
            sort=(("Worker", False),),
            none="No worker is known of whom no miner is",
        ),
    ]


def _money() -> list[Any]:
    return [
        row("Profit", 24),
        graph(
            "What does mining earn and cost?",
            "Revenue at the price of each moment, electricity, and what is left, in dollars a day.",
            (0, 25, 12, 9),
            USD,
            *lines(
                ("revenue", f"sum({REVENUE})"),
                ("electricity", f"sum({ELECTRICITY})"),
                ("profit", f"sum({REVENUE}) - sum({ELECTRICITY})"),
            ),
            minimum=None,
            decimals=2,
            colours={"revenue": "light-blue", "electricity": WARN, "profit": OK},
        ),
        graph(
            "At which price of electricity does it stop to pay?",
            "What a kilowatt-hour may cost until revenue is used up, for all miners together and for the least"
            " and the most efficient one; against what is paid.",
            (12, 25, 12, 9),
            USD,
            *lines(
                (
                    "fleet",
                    f"sum({REVENUE}) / (sum({POWER} and on (job, instance) {REVENUE}) * 86400) * {KWH:.0f}",
                ),
                (
                    "worst miner",
                    f"min(({REVENUE} > 0) / on (job, instance) ({POWER} > 0)) / 86400 * {KWH:.0f}",
                ),
                ("best miner", f"max({REVENUE} / on (job, instance) ({POWER} > 0)) / 86400 * {KWH:.0f}"),
                ("paid", f"max(minefleet_electricity_price_usd_per_joule{{F}}) * {KWH:.0f}"),
            ),
            decimals=3,
            limits=("paid",),
            colours={"fleet": OK, "worst miner": "purple", "best miner": "light-blue", "paid": BAD},
        ),
        graph(
            "Is the price good now?",
            "What a thousand million hashes a second earn in a day, all coins together; against the mean of the"
            " week and, where the pool tells it, the pool's own percentile.",
            (0, 34, 12, 9),
            USD,
            *lines(
                ("{{instance}}, {{algorithm}}", f"max by (instance, algorithm) ({PRICE}){PER_GIGAHASH_DAY}"),
                (
                    "mean of 7 days, {{algorithm}}",
                    f"max by (algorithm) (avg_over_time({PRICE}[7d])){PER_GIGAHASH_DAY}",
                ),
                (
                    "pool's percentile, {{algorithm}}",
                    f"max by (algorithm) (mining_pool_profitability_percentile_usd_per_hash{{P}}){PER_GIGAHASH_DAY}",
                ),
            ),
            minimum=None,
            decimals=4,
        ),
        graph(
            "Which coin earns it?",
            "Revenue a day by coin, at the hashrate and the prices of each moment; the pool's own figures where"
            " it tells the coins apart.",
            (12, 34, 12, 9),
            USD,
            *lines(
                (
                    "{{coin}}",
                    "sum by (coin) (max by (algorithm, coin)"
                    ' (mining_pool_profitability_usd_per_hash{P, source=~"pool|computed"})'
                    " * on (algorithm) group_left () (sum by (algorithm) ("
                    "(vnish_hashrate_hashes_per_second{F} unless on (job, instance) instance:minefleet_stolen:bool{F})"
                    " * on (job, instance) group_left (algorithm)"
                    " max by (job, instance, algorithm) (vnish_miner_info{F})) * 86400))",
                )
            ),
            stacked=True,
            decimals=2,
            none="the pool does not tell",
        ),
    ]


def _coins() -> list[Any]:
    return [
        row("Coins", 43),
        list_of(
            "What lies at the pool, and when did it pay?",
            "By account and coin. A column is empty where the pool does not tell.",
            (0, 44, 16, 9),
            {
                "instance": label("Account", 120),
                "coin": label("Coin", 70),
                "Balance": Column('mining_pool_balance_coins{P, state="confirmed"}', shown_as(COINS, 4)),
                "Unconfirmed": Column(
                    'mining_pool_balance_coins{P, state="unconfirmed"}', shown_as(COINS, 4)
                ),
                "Worth": Column(
                    'mining_pool_balance_coins{P, state="confirmed"} * on (coin) group_left ()'
                    " max by (coin) (mining_coin_price_usd)",
                    shown_as(USD, 2),
                    title="Balance is worth",
                ),
                "Day": Column("mining_pool_earned_24h_coins{P}", shown_as(COINS, 4), title="Earned in 24 h"),
                "Yesterday": Column(
                    "mining_pool_earned_yesterday_coins{P}", shown_as(COINS, 4), title="Earned yesterday"
                ),
                "Expected": Column(
                    "mining_pool_expected_24h_coins{P}", shown_as(COINS, 4), title="Pool expects in 24 h"
                ),
                "Last": Column("mining_pool_last_payout_coins{P}", shown_as(COINS, 4), title="Last payout"),
                "When": Column(
                    "time() - mining_pool_last_payout_timestamp_seconds{P}",
                    shown_as(AGE, 0),
                    title="Paid, ago",
                ),
            },
            by=COIN,
            sort=(("Account", False), ("Coin", False)),
            none="No pool tells of coins",
        ),
        figures(
            "What is a coin worth now?",
            "The price of each coin, by the pool or the market.",
            (16, 44, 8, 9),
            Figure("", "sort_desc(max by (coin) (mining_coin_price_usd))", USD, legend="{{coin}}"),
            none="nobody tells",
        ),
    ]
