"""A miner's answers as the CGI pages of VNish 3.9 give them: figures as text, behind HTTP Digest."""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import Any

from exporter.simulator import api_v1
from exporter.simulator.miner import SimBoard, SimMiner

REALM = "antMiner Configuration"


def system_info(miner: SimMiner) -> Any:
    """``get_system_info.cgi``."""
    return {
        "minertype": f"{miner.hardware.name} (vnish 3.9.0)",
        "nettype": "DHCP",
        "netdevice": "eth0",
        "macaddr": miner.mac,
        "hostname": miner.name,
        "ant_hwv": "0.0.1.3",
    }


def miner_status(miner: SimMiner) -> Any:
    """``get_miner_status.cgi``: rates in MH/s, called GH/s."""
    boards = [board for board in miner.boards if not miner.is_missing(board)]
    fans = {f"fan{index + 1}": f"{rpm:.0f}" for index, rpm in enumerate(miner.fan_rpm)}
    return {
        "summary": {
            "elapsed": f"{miner.state_seconds:.0f}",
            "ghs5s": f"{miner.rate():.3f}",
            "ghsav": f"{miner.rate() * 0.9995:.2f}",
            "foundblocks": "0",
            "hw": str(sum(board.hardware_errors for board in boards)),
            "bestshare": str(miner.best_share),
        },
        "pools": [
            {
                "index": str(pool.number),
                "url": miner.url_of(pool),
                "user": miner.user_of(pool),
                "status": "Alive",
                "priority": str(pool.number),
                "accepted": str(pool.accepted),
                "rejected": str(pool.rejected),
                "stale": str(pool.stale),
                "diff": api_v1.thousands(pool.difficulty),
                "diffa": f"{pool.accepted_difficulty:.0f}",
                "lsdiff": f"{pool.difficulty:.0f}",
                "lstime": "0" if (age := miner.last_share_age(pool)) is None else api_v1.clock(age),
            }
            for pool in miner.pools
            if pool.kind == "UserPool"
        ],
        "devs": [_dev(miner, board) for board in boards],
        **fans,
    }


def _dev(miner: SimMiner, board: SimBoard) -> Any:
    marks = "".join(
        "o" if miner.grade(board, chip) == "grey" else "x" for chip in range(miner.hardware.chips)
    )
    return {
        "index": str(board.number),
        "chain_acn": str(miner.hardware.chips),
        "chain_acs": " " + " ".join(marks[start : start + 8] for start in range(0, len(marks), 8)),
        "freq": str(miner.hardware.chip_mhz),
        "rate": f"{miner.board_rate(board):.3f}",
        "temp": f"{board.celsius - 14:.0f}",
        "temp2": f"{board.celsius:.0f}",
        "hw": str(board.hardware_errors),
    }


def challenge() -> str:
    """A ``WWW-Authenticate`` header."""
    return f'Digest realm="{REALM}", nonce="{secrets.token_hex(8)}", qop="auth"'


def admits(header: str, method: str, user: str, password: str) -> bool:
    """Whether an ``Authorization`` header proves the password (RFC 7616 with MD5, as these miners do)."""
    if not header.startswith("Digest "):
        return False
    given = {
        key: quoted or bare for key, quoted, bare in re.findall(r'(\w+)=(?:"([^"]*)"|([^,\s]+))', header)
    }

    def md5(text: str) -> str:
        return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

    try:
        secret = md5(f"{user}:{REALM}:{password}")
        asked = md5(f"{method}:{given['uri']}")
        proof = md5(f"{secret}:{given['nonce']}:{given['nc']}:{given['cnonce']}:{given['qop']}:{asked}")
    except KeyError:
        return False
    return given.get("username") == user and given.get("response") == proof
