"""A miner's answers in the simple documented shape."""

from __future__ import annotations

from typing import Any

from exporter.simulator.miner import SimBoard, SimMiner


def summary(miner: SimMiner) -> Any:
    """``GET /summary``."""
    hottest = max(board.celsius for board in miner.boards)
    return {
        "summary": {
            "hashrate": rate(miner.rate() * miner.hardware.unit),
            "temperature": {"chip": round(hottest), "board": round(hottest - 12)},
            "power": round(miner.watts()),
            "uptime": int(miner.uptime),
            "status": miner.state,
        }
    }


def chains(miner: SimMiner) -> Any:
    """``GET /chains``."""
    return [_chain(miner, board) for board in miner.boards if not miner.is_missing(board)]


def chips(miner: SimMiner) -> Any:
    """``GET /chips``."""
    first = miner.boards[0]
    jitter = miner.jitter(first)
    return [
        {
            "id": index + 1,
            "hashrate": rate(miner.chip_rate(first, index, jitter) * miner.hardware.unit),
            "temperature": round(first.celsius),
            "status": "active" if miner.grade(first, index) == "grey" else "failed",
        }
        for index in range(miner.hardware.chips)
    ]


def status(miner: SimMiner) -> Any:
    """``GET /status``."""
    return {"status": miner.state}


def _chain(miner: SimMiner, board: SimBoard) -> Any:
    state = miner.board_state(board)
    return {
        "id": board.number - 1,
        "chips": miner.hardware.chips,
        "hashrate": rate(miner.board_rate(board) * miner.hardware.unit),
        "temperature": round(board.celsius),
        "status": "healthy" if state == "mining" else state,
    }


def rate(hashes_per_second: float) -> str:
    """``"9.50 GH/s"``."""
    for scale, unit in ((1e12, "TH/s"), (1e9, "GH/s"), (1e6, "MH/s")):
        if hashes_per_second >= scale:
            return f"{hashes_per_second / scale:.2f} {unit}"
    return f"{hashes_per_second / 1e6:.2f} MH/s"
