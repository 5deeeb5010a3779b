"""A miner's answers as the CGI pages of VNish 3.9 print them, and of the maker's firmware beside it.

Both are shell scripts behind HTTP Digest that print JSON line by line. While mining is stopped they have
nothing to print after their colons; while the mining process refuses to be asked they print empty lists.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from exporter.simulator import api_v1
from exporter.simulator.miner import SimBoard, SimMiner, SimPool

REALM = "antMiner Configuration"
SERVER = "lighttpd/1.4.32"
_SOCKETS = 8
_DEVFEE_PRIORITY = 993
_REFUSED = '{\n"summary": [ ],\n"pools": [ ],\n"devs": [ ]\n}\n'
# What only VNish prints of a board.
_OWN = frozenset(
    {
        "freqavg",
        "rtideal",
        "totalideal",
        "totalrate",
        "totalacn",
        "chain_bchips",
        "chain_vol",
        "chain_consumption",
    }
)
# Figures of a board that stand without quotation marks while there are none.
_BARE = frozenset({"rate", "rtideal", "totalideal", "totalrate"})


def system_info(miner: SimMiner) -> dict[str, Any]:
    """``get_system_info.cgi``: all of it text, memory in KiB."""
    return {
        "minertype": f"{miner.hardware.name} (vnish 3.9.0)",
        "nettype": "DHCP",
        "netdevice": "eth0",
        "macaddr": miner.mac,
        "hostname": miner.name,
        "ipaddress": "",
        "netmask": "",
        "gateway": "",
        "dnsservers": "",
        "curtime": "04:17:52",
        "uptime": _uptime_word(miner.uptime),
        "loadaverage": "0.41, 0.38, 0.35",
        "mem_total": "243356",
        "mem_used": "61004",
        "mem_free": "182352",
        "mem_buffers": "0",
        "mem_cached": "21196",
        "system_mode": "GNU/Linux",
        "ant_hwv": "0.0.1.3",
        "system_kernel_version": "Linux 3.8.13",
        "system_filesystem_version": "Tue Nov 30 17:18:39 CST 2021",
        "cgminer_version": "4.11.1",
    }


def _uptime_word(seconds: float) -> str:
    """The third word of what ``uptime`` prints: days, below a day ``H:MM``, below an hour minutes."""
    minutes = int(seconds // 60)
    if minutes >= 24 * 60:
        return str(minutes // (24 * 60))
    return f"{minutes // 60}:{minutes % 60:02d}" if minutes >= 60 else str(minutes)


def miner_status(miner: SimMiner) -> dict[str, Any]:
    """``get_miner_status.cgi`` while there is something to tell: rates in MH/s for scrypt, called GH/s."""
    boards = [board for board in miner.boards if not miner.is_missing(board)]
    user = miner.pools[0]
    return {
        "summary": {
            "elapsed": int(miner.state_seconds),
            "stale": user.stale,
            "ghs5s": f"{miner.rate():.3f}",
            "ghsav": round(miner.rate() * 0.9995, 2),
            "foundblocks": 0,
            "getworks ": 0,
            "accepted": user.accepted,
            "rejected": user.rejected,
            "hw": sum(board.hardware_errors for board in boards),
            "utility": 5.13,
            "discarded": 0,
            "localwork": 0,
            "wu": 0.0,
            "diffa": int(user.accepted_difficulty),
            "diffr": 0,
            "diffs": 0,
            "bestshare": miner.best_share,
        },
        "pools": [_pool(miner, pool) for pool in miner.pools],
        "devs": [_dev(miner, board, first=board is boards[0]) for board in boards],
    }


def _pool(miner: SimMiner, pool: SimPool) -> dict[str, Any]:
    age = miner.last_share_age(pool)
    return {
        "index": pool.number,
        "url": miner.url_of(pool),
        "user": miner.user_of(pool),
        "status": "Alive",
        "priority": _DEVFEE_PRIORITY if pool.kind == "DevFee" else pool.number,
        "getworks": 0,
        "accepted": pool.accepted,
        "rejected": pool.rejected,
        "discarded": 0,
        "stale": pool.stale,
        "diff": "" if age is None else api_v1.thousands(pool.difficulty),
        "diff1": 0,
        "diffa": int(pool.accepted_difficulty),
        "diffr": 0,
        "diffs": 0,
        "lsdiff": 0 if age is None else int(pool.difficulty),
        "lstime": "0" if age is None else api_v1.clock(age),
        "boost": 0,
    }


def _dev(miner: SimMiner, board: SimBoard, *, first: bool) -> dict[str, str]:
    """A board; every value is text, and the first carries the miner's fans."""
    hardware = miner.hardware
    marks = "".join("o" if miner.grade(board, chip) == "grey" else "x" for chip in range(hardware.chips))
    fans = {f"fan{socket}": "0" for socket in range(1, _SOCKETS + 1)}
    fans |= {
        f"fan{socket}": f"{rpm:.0f}" for socket, rpm in enumerate(miner.fan_rpm, start=hardware.first_fan)
    }
    return {
        "index": str(board.number - 1 + hardware.first_board),
        "chain_acn": str(hardware.chips),
        "freq": str(hardware.chip_mhz),
        "freqavg": f"{hardware.chip_mhz:.2f}",
        **(fans if first else {}),
        "temp": f"{board.celsius - 14:.0f}",
        "temp2": f"{board.celsius:.0f}",
        "hw": str(board.hardware_errors),
        "rate": f"{miner.board_rate(board):.3f}",
        "rtideal": f"{miner.board_nominal():.3f}",
        "totalideal": f"{hardware.rate:.3f}",
        "totalrate": f"{miner.rate():.3f}",
        "totalacn": str(hardware.chips * hardware.boards),
        "chain_acs": " " + " ".join(marks[start : start + 8] for start in range(0, len(marks), 8)),
        "chain_bchips": str(marks.count("x")),
        "chain_vol": str(hardware.board_millivolts // 10),
        "chain_consumption": f"{miner.board_watts(board):.0f}",
    }


def info_page(miner: SimMiner) -> str:
    """``get_system_info.cgi`` as printed."""
    return _printed(system_info(miner))


def status_page(miner: SimMiner) -> str:
    """``get_miner_status.cgi`` as printed, whatever the state."""
    if miner.state == "stopped":
        return _stopped(miner)
    if "process_dead" in miner.faults or miner.state not in ("mining", "auto-tuning", "initializing"):
        return _REFUSED
    return _printed(miner_status(miner))


def _stopped(miner: SimMiner) -> str:
    first, *_ = miner_status(miner)["devs"]
    dev = ",".join(f'"{key}": ' if key in _BARE else f'"{key}":""' for key in first)
    devs = ",\n".join(["{" + dev + "}"] * miner.hardware.boards)
    return f'{{\n"summary": ,\n"pools": ,\n"devs": [\n{devs}\n]\n}}\n'


def _printed(data: Mapping[str, Any]) -> str:
    lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in data.items())
    return f"{{\n{lines}\n}}\n"


PAGES: Mapping[str, Callable[[SimMiner], str]] = {
    "/cgi-bin/get_system_info.cgi": info_page,
    "/cgi-bin/get_miner_status.cgi": status_page,
}


# The maker's own firmware.


def _stock_info_page(miner: SimMiner) -> str:
    return _printed({**system_info(miner), "minertype": miner.hardware.name, "firmware_type": "Release"})


def _stock_status_page(miner: SimMiner) -> str:
    """Models before the S17 have this page, without what VNish adds to it; newer ones do not."""
    if miner.hardware.series not in ("l3", "s9"):
        return ""
    data = miner_status(miner)
    for pool in data["pools"]:
        del pool["boost"]
    return _printed(
        {
            **data,
            "pools": [pool for pool in data["pools"] if pool["url"] != "DevFee"],
            "devs": [{key: value for key, value in dev.items() if key not in _OWN} for dev in data["devs"]],
        }
    )


STOCK_PAGES: Mapping[str, Callable[[SimMiner], str]] = {
    "/cgi-bin/get_system_info.cgi": _stock_info_page,
    "/cgi-bin/get_miner_status.cgi": _stock_status_page,
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
