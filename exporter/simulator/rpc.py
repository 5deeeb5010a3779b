"""The mining process' own interface on port 4028, as fleet tools ask for it: one command a connection.

For scrypt its rates are MH/s labelled GHS, as on real miners. The exporter does not use it.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from exporter.simulator.miner import SimMiner

PORT = 4028
_MOST_BYTES = 4096


def answer(miner: SimMiner, version: str, command: str) -> Any:
    """The answer to *command*; several joined by ``+`` are answered as one object."""
    if "+" in command:
        return {name: [answer(miner, version, name)] for name in command.split("+")}
    made = {"stats": _stats, "summary": _summary, "pools": _pools}.get(command)
    if made is None:
        # Telling more here makes tools take the miner for one with the maker's firmware.
        return {"STATUS": [{"STATUS": "E", "Code": 45, "Msg": "Access denied to command"}], "id": 1}
    return {"STATUS": [{"STATUS": "S", "Code": 70, "Msg": command}], **made(miner, version), "id": 1}


def _stats(miner: SimMiner, version: str) -> dict[str, Any]:
    hardware = miner.hardware
    stats: dict[str, Any] = {
        "STATS": 0,
        "ID": "BTM_SOC0",
        "Elapsed": int(miner.state_seconds),
        "GHS 5s": round(miner.rate(), 3),
        "GHS av": round(miner.rate() * 0.9995, 2),
        "total_rateideal": hardware.rate,
        "rate_unit": "MH" if hardware.unit == 1e6 else "GH",
        "miner_count": hardware.boards,
        "fan_num": hardware.fans,
    }
    for index, rpm in enumerate(miner.fan_rpm, start=1):
        stats[f"fan{index}"] = round(rpm)
    for board in miner.boards:
        number = board.number
        stats[f"chain_acn{number}"] = hardware.chips
        stats[f"chain_acs{number}"] = "o" * hardware.chips
        stats[f"chain_rate{number}"] = f"{miner.board_rate(board):.3f}"
        stats[f"temp{number}"] = round(board.celsius - 12)
        stats[f"temp2_{number}"] = round(board.celsius)
    return {"STATS": [{"Type": f"{hardware.name} (Vnish {version})", "Miner": version}, stats]}


def _summary(miner: SimMiner, _version: str) -> dict[str, Any]:
    user = miner.pools[0]
    return {
        "SUMMARY": [
            {
                "Elapsed": int(miner.state_seconds),
                "GHS 5s": f"{miner.rate():.3f}",
                "GHS av": f"{miner.rate() * 0.9995:.2f}",
                "Accepted": user.accepted,
                "Rejected": user.rejected,
                "Stale": user.stale,
            }
        ]
    }


def _pools(miner: SimMiner, _version: str) -> dict[str, Any]:
    return {
        "POOLS": [
            {
                "POOL": pool.number,
                "URL": miner.url_of(pool),
                "User": miner.user_of(pool),
                "Status": "Alive",
                "Priority": pool.number,
                "Accepted": pool.accepted,
                "Rejected": pool.rejected,
                "Get Failures": 0,
                "Remote Failures": 0,
                "Stratum Active": pool.number == 0,
            }
            for pool in miner.pools
        ]
    }


async def serve(miner: SimMiner, version: str, address: str, port: int = PORT) -> asyncio.Server:
    """Listen; the caller closes the server."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            data = await reader.read(_MOST_BYTES)
            command = json.loads(data.rstrip(b"\0\n") or b"{}").get("command", "")
            writer.write(json.dumps(answer(miner, version, command)).encode() + b"\0")
            await writer.drain()
        except (ValueError, AttributeError, OSError):
            pass
        finally:
            writer.close()

    return await asyncio.start_server(handle, address, port)
