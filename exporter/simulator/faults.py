"""What can go wrong on request, as data: the name, what it does, and its parameters with their defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to misbehave."""

    help: str
    parameters: Mapping[str, float] = field(default_factory=dict)


MINER_FAULTS: dict[str, Fault] = {
    "unplugged": Fault("nothing listens at its address"),
    "hanging": Fault("accepts requests and never answers"),
    "slow": Fault("answers late", {"seconds": 2.0}),
    "http_500": Fault("answers every request with status 500"),
    "html": Fault("answers every request with its web page and status 200"),
    "truncated_json": Fault("stops in the middle of every answer"),
    "wrong_types": Fault("sends text for numbers and lists for objects"),
    "board_lost": Fault("one board fails", {"board": 2}),
    "board_missing": Fault("one board is not reported any more", {"board": 3}),
    "chips_orange": Fault("chips of a board become weak", {"board": 1, "count": 12}),
    "chips_red": Fault("chips of a board die", {"board": 1, "count": 6}),
    "fan_stopped": Fault("a fan stops", {"fan": 0}),
    "overheating": Fault("the air gets too warm", {"celsius": 45.0}),
    "hashrate_drop": Fault("hashes less than it should", {"percent": 40.0}),
    "power_spike": Fault("draws more than it should", {"percent": 50.0}),
    "reboot_loop": Fault("reboots again and again", {"seconds": 90.0}),
    "paused": Fault("mining is stopped"),
    "failure": Fault("mining has failed"),
    "process_dead": Fault("the web server answers, the mining process does not"),
    "shares_rejected": Fault("the pool rejects shares", {"percent": 15.0}),
    "wrong_worker": Fault("mines to another pool under another name"),
}

POOL_FAULTS: dict[str, Fault] = {
    "dead": Fault("nothing listens at its address"),
    "hanging": Fault("accepts requests and never answers"),
    "http_500": Fault("answers every request with status 500"),
    "html": Fault("answers every request with a web page and status 200"),
    "empty": Fault("has nothing to tell"),
    "stale": Fault("serves its last figures for ever"),
    "slow": Fault("answers late", {"seconds": 2.0}),
    "truncated": Fault("stops in the middle of every answer"),
    "wrong_key": Fault("refuses the key, in its own words"),
    "throttled": Fault("says it is asked too often, in its own words"),
    "unknown_account": Fault("does not know the account, in its own words"),
    "ip_not_allowed": Fault("does not take requests from this address, in its own words"),
    "key_echoed": Fault("repeats the key in every answer"),
    "numbers_as_text": Fault("sends numbers as text with leading zeros"),
    "nulls": Fault("sends null for every number"),
    "unit_flip": Fault("changes the unit of its hashrates from answer to answer, where it has units"),
    "endless_pages": Fault("says of every page that there is another"),
    "vanishing_worker": Fault("forgets a worker"),
    "counter_reset": Fault("starts the workers' counters anew"),
    "hostile_names": Fault("lists workers with names of quotes, line ends and 300 letters"),
    "many_workers": Fault("lists many more workers", {"count": 5000}),
    "skim": Fault("credits less than the shares are worth", {"percent": 5.0}),
    "silent": Fault("keeps the connection and publishes nothing any more, where there is one"),
    "deaf": Fault("takes calls over a connection and never answers"),
    "pool_error": Fault("answers calls for the account with an error of its own"),
    "swapped_worker": Fault("credits two workers' shares to each other"),
}

MARKET_FAULTS: dict[str, Fault] = {
    **{
        name: POOL_FAULTS[name]
        for name in (
            *("dead", "hanging", "http_500", "html", "slow", "truncated", "throttled"),
            *("numbers_as_text", "nulls"),
        )
    },
    "empty": Fault("answers with nothing and status 200"),
    "stale": Fault("has lost its node or market and serves its last figures"),
    "unit_flip": Fault("tells prices in cents and difficulties in hashes"),
    "missing_coin": Fault("tells nothing of Dogecoin"),
}


class UnknownFaultError(ValueError):
    """No fault of that name, or no such parameter; the text says what there is."""


def parameters(
    known: Mapping[str, Fault], name: str, given: Mapping[str, object] | None = None
) -> dict[str, float]:
    """The parameters of fault *name*, defaults filled in.

    Raises:
        UnknownFaultError: the fault or a parameter does not exist, or a parameter is not a number.
    """
    if name not in known:
        raise UnknownFaultError(f"no fault {name!r}; there are {', '.join(known)}")
    filled = dict(known[name].parameters)
    for key, value in (given or {}).items():
        if key not in filled:
            raise UnknownFaultError(
                f"fault {name} has no parameter {key!r}; it has {', '.join(filled) or 'none'}"
            )
        try:
            filled[key] = float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            raise UnknownFaultError(f"parameter {key} of fault {name}: expected a number") from None
    return filled
