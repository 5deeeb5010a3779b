"""Inventory: what there is, which firmware and presets it runs, and who differs from the rest."""

from __future__ import annotations

from typing import Any

from vocabulary import (
    COUNT,
    INVENTORY,
    WATTS,
    Column,
    Figure,
    bars,
    board_of,
    figures,
    filters,
    label,
    list_of,
    miner,
    shown_as,
)

UID = INVENTORY

INFO = "max by (job, instance, model, firmware_version) (vnish_miner_info{F})"
PRESET = (
    "max by (job, instance, preset, model) (vnish_preset_info{F}"
    " * on (job, instance) group_left (model) max by (job, instance, model) (vnish_miner_info{F}))"
)
COMMON_FIRMWARE = f"topk by (model) (1, count by (model, firmware_version) ({INFO}))"
COMMON_PRESET = f"topk by (model) (1, count by (model, preset) ({PRESET}))"


def told(info: str, label: str) -> str:
    """*info* with a word for a *label* the miner does not tell: a series without one would have no name."""
    return f'label_replace({info}, "{label}", "not told", "{label}", "")'


def dashboard() -> Any:
    """The dashboard's builder."""
    return board_of(
        UID,
        "Mining: inventory",
        "What there is, which firmware and presets it runs, and who differs from the rest.",
        [*_counts(), *_lists()],
        filters(),
        refresh="5m",
    )


def _counts() -> list[Any]:
    return [
        figures(
            "How many are there?",
            "Miners in the configuration, and of them those that answer now: only these tell model, firmware and preset.",
            (0, 0, 6, 8),
            Figure("configured", "count(minefleet_miner_configured{F} == 1) or vector(0)", COUNT, decimals=0),
            Figure("answer", "sum(vnish_up{F})", COUNT, decimals=0),
            Figure("sites", "count(count by (site) (vnish_up{F}))", COUNT, decimals=0),
        ),
        bars(
            "Which models?",
            "Miners of each model.",
            (6, 0, 6, 8),
            COUNT,
            f"sort_desc(count by (model) ({told('vnish_miner_info{F}', 'model')}))",
            "{{model}}",
            none="no miner tells",
            decimals=0,
        ),
        bars(
            "Which firmware?",
            "Miners with each version of the firmware.",
            (12, 0, 6, 8),
            COUNT,
            f"sort_desc(count by (firmware, firmware_version) ({told('vnish_miner_info{F}', 'firmware')}))",
            "{{firmware}} {{firmware_version}}",
            none="no miner tells",
            decimals=0,
        ),
        bars(
            "Which presets?",
            "Miners on each preset.",
            (18, 0, 6, 8),
            COUNT,
            "sort_desc(count by (preset) (vnish_preset_info{F}))",
            "{{preset}}",
            none="no miner tells",
            decimals=0,
        ),
    ]


def _lists() -> list[Any]:
    return [
        list_of(
            "Whose firmware differs?",
            "Miners with another firmware than most of their model have.",
            (0, 8, 8, 8),
            {
                "instance": miner(),
                "Other": Column(
                    f"{INFO} unless on (model, firmware_version) {COMMON_FIRMWARE}",
                    also=("model", "firmware_version"),
                    hidden=True,
                ),
                "model": label("Model"),
                "firmware_version": label("Firmware"),
            },
            sort=(("Miner", False),),
            none="All of a model run the same",
        ),
        list_of(
            "Whose preset differs?",
            "Miners on another preset than most of their model are on.",
            (8, 8, 8, 8),
            {
                "instance": miner(),
                "Other": Column(
                    f"{PRESET} unless on (model, preset) {COMMON_PRESET}",
                    also=("model", "preset"),
                    hidden=True,
                ),
                "model": label("Model"),
                "preset": label("Preset"),
            },
            sort=(("Miner", False),),
            none="All of a model are on the same",
        ),
        list_of(
            "Who waits for a restart?",
            "Miners whose changed settings take effect only after a restart of mining, or a reboot.",
            (16, 8, 8, 8),
            {
                "instance": miner(),
                "Waits": Column(
                    'label_replace(vnish_restart_required{F} == 1, "for", "a restart of mining", "", "")'
                    ' or label_replace(vnish_reboot_required{F} == 1, "for", "a reboot", "", "")',
                    also=("for",),
                    hidden=True,
                ),
                "for": label("Waits for"),
            },
            sort=(("Miner", False),),
            none="Nobody waits",
        ),
        list_of(
            "What is where?",
            "Every miner, with what it says it is and what the configuration says of it; one that does not answer"
            " says nothing.",
            (0, 16, 24, 18),
            {
                "instance": miner(140),
                "site": label("Site", 75),
                "rack": label("Rack", 60),
                "Place": Column("vnish_up{F}", also=("site", "rack"), hidden=True),
                "Model": Column(
                    "vnish_miner_info{F}",
                    also=("model", "firmware_version", "serial", "mac", "api"),
                    hidden=True,
                ),
                "model": label("Model"),
                "firmware_version": label("Firmware", 85),
                "api": label("Interface", 85),
                "Preset": Column("vnish_preset_info{F}", also=("preset",), hidden=True),
                "preset": label("Preset", 80),
                "Preset's power": Column("vnish_preset_power_watts{F}", shown_as(WATTS, 2), width=110),
                "Worker": Column("minefleet_miner_info{F}", also=("worker",), hidden=True),
                "worker": label("Worker"),
                "Account": Column("minefleet_miner_account_info{F}", also=("account",), hidden=True),
                "account": label("Account", 90),
                "serial": label("Serial"),
                "mac": label("MAC address"),
                "Supply": Column(
                    'label_replace(vnish_psu_info{F}, "psu", "$1", "model", "(.+)")',
                    also=("psu",),
                    hidden=True,
                ),
                "psu": label("Power supply"),
            },
            sort=(("Miner", False),),
            none="Nothing is known of any miner",
            pages=True,
        ),
    ]
