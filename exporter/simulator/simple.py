"""A miner's answers in the simple documented shape, in each of the forms it is documented in.

``simple`` has ``/summary``, ``/chips`` and ``/chains`` apart; ``simple-whole`` all three side by side in
``/summary``; ``simple-inside`` the chains inside the summary; ``simple-nested`` the chips inside the chains.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from exporter.simulator.miner import SimBoard, SimMiner


def _outer(miner: SimMiner) -> Any:
    """``GET /summary``."""
    return {"summary": summary(miner)}


def _whole(miner: SimMiner) -> Any:
    return {"summary": summary(miner), "chips": chips(miner), "chains": chains(miner)}


def _inside(miner: SimMiner) -> Any:
    return {"summary": {**summary(miner), "chains": chains(miner)}}


def _named_chips(miner: SimMiner) -> Any:
    return {"chips": chips(miner)}


def _nested(miner: SimMiner) -> Any:
    return {"chains": chains(miner, nested=True)}


def summary(miner: SimMiner) -> dict[str, Any]:
    """The miner as a whole."""
    hottest = max(board.celsius for board in miner.boards)
    return {
        "hashrate": rate(miner.rate() * miner.hardware.unit),
        "temperature": {"chip": round(hottest), "board": round(hottest - 12)},
        "power": round(miner.watts()),
        "uptime": int(miner.uptime),
        "status": miner.state,
    }


def chains(miner: SimMiner, *, nested: bool = False) -> list[Any]:
    """Its boards, numbered from 0; *nested* with their chips, else with how many they have."""
    return [_chain(miner, board, nested) for board in miner.boards if not miner.is_missing(board)]


def chips(miner: SimMiner) -> list[Any]:
    """All its chips, numbered from 1 through all boards: this form says nothing of the board."""
    boards = [board for board in miner.boards if not miner.is_missing(board)]
    flat = [chip for board in boards for chip in _chips(miner, board)]
    return [{**chip, "id": number} for number, chip in enumerate(flat, 1)]


def status(miner: SimMiner) -> Any:
    """``GET /status``."""
    return {"status": miner.state}


def _chain(miner: SimMiner, board: SimBoard, nested: bool) -> Any:
    state = miner.board_state(board)
    return {
        "id": board.number - 1,
        "chips": _chips(miner, board) if nested else miner.hardware.chips,
        "hashrate": rate(miner.board_rate(board) * miner.hardware.unit),
        "temperature": round(board.celsius),
        "status": "healthy" if state == "mining" else state,
    }


def _chips(miner: SimMiner, board: SimBoard) -> list[Any]:
    jitter = miner.jitter(board)
    return [
        {
            "id": index + 1,
            "hashrate": rate(miner.chip_rate(board, index, jitter) * miner.hardware.unit),
            "temperature": round(board.celsius),
            "status": "active" if miner.grade(board, index) == "grey" else "failed",
        }
        for index in range(miner.hardware.chips)
    ]


def rate(hashes_per_second: float) -> str:
    """``"9.50 GH/s"``."""
    for scale, unit in ((1e12, "TH/s"), (1e9, "GH/s"), (1e6, "MH/s")):
        if hashes_per_second >= scale:
            return f"{hashes_per_second / scale:.2f} {unit}"
    return f"{hashes_per_second / 1e6:.2f} MH/s"


# What is answered by form and path; any other path is not found.
FORMS: Mapping[str, Mapping[str, Callable[[SimMiner], Any]]] = {
    "simple": {"/summary": _outer, "/chips": chips, "/chains": chains, "/status": status},
    "simple-whole": {"/summary": _whole},
    "simple-inside": {"/summary": _inside, "/chips": _named_chips},
    "simple-nested": {"/summary": summary, "/chains": _nested},
}
