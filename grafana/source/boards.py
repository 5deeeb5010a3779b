"""Boards and chips: which of the fleet's are weakest, which get worse, and one miner's as a picture."""

from __future__ import annotations

from typing import Any

from miner import BOARD_STATES, coded
from vocabulary import (
    BAD,
    BOARDS,
    CELSIUS,
    COUNT,
    KEPT,
    OK,
    PLAIN,
    SHARE,
    WARN,
    WATTS,
    Column,
    Property,
    annotations,
    bars,
    board_of,
    chips,
    choice,
    coloured,
    filtered,
    filters,
    graded,
    hidden,
    label,
    linked,
    list_of,
    mapped,
    models,
    row,
    shown_as,
)

UID = BOARDS

PART = ("job", "instance", "board")
HASHING = "instance:vnish_hashing:bool{F} == 1"
BOARD_RATIO = (
    "(vnish_board_hashrate_hashes_per_second{F}"
    " / on (job, instance, board) (vnish_board_hashrate_nominal_hashes_per_second{F} > 0))"
    f" and on (job, instance) {HASHING}"
)
# Those of all miners are 350 a miner: of the miners with the weakest boards only.
OF_WEAK = 'vnish_chip_hashrate_hashes_per_second{F, instance=~"$weak"}'
CHIP_RATIO = (
    f"({OF_WEAK} / on (job, instance, board) group_left () avg by (job, instance, board) ({OF_WEAK} > 0))"
    f" and on (job, instance) {HASHING}"
)
# Not while a miner starts, when all chips are red.
BAD_CHIPS = "instance_board:vnish_board_chips_bad:sum{F}"
WORSE = f"({BAD_CHIPS} - min_over_time({BAD_CHIPS}[7d:1h]) > 0)"
WEAK = f"bottomk(20, {BOARD_RATIO}) or topk(20, {BAD_CHIPS} > 0)"
# Those that tell of their chips now, the one with the weakest board first: its chips are shown unless one is chosen.
TELLS = "vnish_chips_age_seconds{F}"
PICTURABLE = (
    f"sort(min by (job, instance) ({BOARD_RATIO}) and on (job, instance) {TELLS}"
    f" or on (job, instance) {TELLS} * 0 + 9)"
)
OF = 'job=~"$job", instance=~"$pictured", board=~"$board"'


def dashboard() -> Any:
    """The dashboard's builder."""
    pictured = (
        choice("pictured", "Picture of", f"query_result({filtered(PICTURABLE)})", single=True)
        .regex('/instance="([^"]+)"/')
        .sort(models.VariableSort.DISABLED)
    )
    board = choice(
        "board",
        "Board",
        'label_values(vnish_chip_temperature_celsius{job=~"$job", instance=~"$pictured"}, board)',
    )
    return board_of(
        UID,
        "Mining: boards and chips",
        "Which boards and chips are weakest, which get worse, and one miner's chips as a picture.",
        [*_weakest(), *_picture()],
        [*filters(), pictured, board, hidden("weak", "Weak", WEAK)],
        annotations=annotations(all_shown=False),
    )


def _miner() -> Column:
    return Column(
        look=linked("Its chips as a picture", f"/d/{UID}?{KEPT}&var-pictured=${{__value.text}}"),
        title="Miner",
        width=140,
    )


def _weakest() -> list[Any]:
    return [
        list_of(
            "Which boards are weakest?",
            "The twenty boards that give least of what they should, of miners that hash. A dead board is one"
            " that hashes nothing. The miner's name shows its chips below.",
            (0, 0, 14, 11),
            {
                "instance": _miner(),
                "board": label("Board", 65),
                "Of nominal": Column(BOARD_RATIO, shown_as(SHARE, 0), width=115),
                "State": Column(coded("board_state", BOARD_STATES), mapped(BOARD_STATES), width=105),
                "Dead chips": Column(
                    'vnish_board_chips{F, grade="red"}',
                    [*shown_as(COUNT, 0), *coloured((None, PLAIN), (1, BAD))],
                    width=95,
                ),
                "Weak chips": Column(
                    'vnish_board_chips{F, grade="orange"}',
                    [*shown_as(COUNT, 0), *coloured((None, PLAIN), (1, WARN))],
                    width=95,
                ),
                "Hottest chip": Column("vnish_board_chip_temperature_max_celsius{F}", shown_as(CELSIUS, 0)),
                "Power": Column("vnish_board_power_watts{F}", shown_as(WATTS, 2)),
            },
            by=PART,
            sort=(("Of nominal", False),),
            where=f"bottomk(20, {BOARD_RATIO})",
            none="No miner tells of its boards",
        ),
        list_of(
            "Which boards got worse this week?",
            "Boards with more weak or dead chips than at the best hour of the last seven days: the next to die.",
            (14, 0, 10, 11),
            {
                "instance": _miner(),
                "board": label("Board", 65),
                "More": Column(WORSE, [*shown_as(COUNT, 0), *coloured((None, WARN))], title="More bad chips"),
                "Now": Column(f"{BAD_CHIPS}", shown_as(COUNT, 0), title="Bad chips now"),
            },
            by=PART,
            sort=(("More bad chips", True),),
            where=f"topk(50, {WORSE})",
            none="No board got worse",
        ),
        list_of(
            "Which chips are weakest?",
            "The twenty chips that hash least against the mean of their board, of the miners with the twenty weakest"
            " boards and the twenty with most bad chips: 0 % is dead.",
            (0, 11, 14, 10),
            {
                "instance": _miner(),
                "board": label("Board", 65),
                "chip": label("Chip", 65),
                "Of the mean": Column(
                    f"bottomk(20, {CHIP_RATIO})", shown_as(SHARE, 0), title="Of its board's mean"
                ),
            },
            by=(*PART, "chip"),
            sort=(("Of its board's mean", False),),
            none="No miner tells of its chips",
        ),
        bars(
            "Which boards are hot for their miner?",
            "The ten boards whose hottest chip is furthest above the mean of the miner's boards: dust, a loose"
            " heat sink or a bad place in the air.",
            (14, 11, 10, 10),
            CELSIUS,
            "topk(10, vnish_board_chip_temperature_max_celsius{F} - on (job, instance) group_left ()"
            " avg by (job, instance) (vnish_board_chip_temperature_max_celsius{F}) >= 0.5)",
            "{{instance}} board {{board}}",
            none="none is known to be",
            decimals=0,
        ),
    ]


def _picture() -> list[Any]:
    heat = [*graded("continuous-purples", 30, 100), *shown_as(CELSIUS, 0)]
    share = [
        *shown_as(SHARE, 0),
        Property(
            "thresholds",
            {
                "mode": "absolute",
                "steps": [
                    {"value": None, "color": "transparent"},
                    {"value": 0, "color": BAD},
                    {"value": 0.5, "color": WARN},
                    {"value": 0.85, "color": OK},
                ],
            },
        ),
        Property("custom.cellOptions", {"type": "color-background", "mode": "basic"}),
    ]
    grades = mapped({0: ("good", OK), 1: ("weak", WARN), 2: ("dead", BAD)})
    mean = f"avg by (job, instance, board) (vnish_chip_hashrate_hashes_per_second{{{OF}}} > 0)"
    # Eleven columns of figures want half of a screen of 1280 pixels.
    return [
        row("$pictured: its chips, in tens from left to right", 21),
        chips(
            "Hot: board $board",
            "Each chip's temperature, in its place on the board: chip 23 is in row 020, column 3. The colour gets stronger from 30 to 100 °C.",
            (0, 22, 12, 16),
            f"vnish_chip_temperature_celsius{{{OF}}}",
            heat,
        ),
        chips(
            "Weak: board $board",
            "Each chip's hashrate against the mean of its board's chips that hash.",
            (12, 22, 12, 16),
            # Of a dead board there is no such mean.
            f"(vnish_chip_hashrate_hashes_per_second{{{OF}}} / on (job, instance, board) group_left () {mean}"
            f" or vnish_chip_hashrate_hashes_per_second{{{OF}}} * 0)",
            share,
        ),
        row("$pictured: the firmware's own grade of its chips", 38),
        chips(
            "Graded: board $board",
            "The firmware's own grade of each chip: good, weak (orange) or dead (red).",
            (0, 39, 24, 16),
            f'max without (grade) (vnish_chip_grade{{{OF}, grade="red"}} * 2'
            f' or vnish_chip_grade{{{OF}, grade="orange"}} or vnish_chip_grade{{{OF}, grade="grey"}} * 0)',
            grades,
            beside=2,
        ),
    ]
