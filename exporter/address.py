"""Where a target listens, and which addresses may be connected to."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache

from yarl import URL

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a target listens: scheme, host (a name or an address), port and, for a relay, a base path."""

    scheme: str
    host: str
    port: int
    path: str = ""

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """Read ``host[:port]`` or ``http[s]://host[:port][/path]``.

        Raises:
            ValueError: anything else; credentials, a query or a fragment are not part of a target.
        """
        expected = "expected host[:port], http://host[:port] or https://host[:port]"
        if not text or len(text) > 512 or not text.isascii() or re.search(r"[\s\\@?#%]", text):
            raise ValueError(expected)
        if "://" not in text and text.count(":") > 1 and not text.startswith("["):
            text = f"[{text}]"
        scheme, separator, rest = text.partition("://")
        if not separator:
            scheme, rest = "http", text
        if scheme not in ("http", "https"):
            raise ValueError(expected)
        try:
            url = URL(f"{scheme}://{rest}")
            host, port = url.host, url.explicit_port
        except ValueError:
            raise ValueError(expected) from None
        address = address_of(host) if host else None
        if not host or port == 0 or not (address or _HOST.fullmatch(host)):
            raise ValueError(expected)
        if address is None and re.fullmatch(r"[0-9.]+|0x[0-9a-fA-F]+", host):
            # "10.1" and "2130706433" are addresses to some resolvers and names to others.
            raise ValueError(expected)
        # One address has many spellings; two of them are still one target.
        host = str(address) if address else host.lower()
        return cls(scheme, host, port or (443 if scheme == "https" else 80), url.path.rstrip("/"))

    @property
    def address(self) -> Address | None:
        """The host as an address, or ``None`` if it is a name."""
        return address_of(self.host)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = 443 if self.scheme == "https" else 80
        port = "" if self.port == default else f":{self.port}"
        prefix = "" if self.scheme == "http" and not self.path else f"{self.scheme}://"
        return f"{prefix}{host}{port}{self.path}"


@lru_cache(maxsize=8192)
def address_of(host: str) -> Address | None:
    """*host* as an address, an IPv4 address inside IPv6 unwrapped; ``None`` for a name."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


@dataclass(frozen=True, slots=True)
class Policy:
    """Which addresses may be connected to.

    ``networks`` of ``None`` allows any address: for a pool, whose URL is the owner's own word.
    """

    networks: tuple[Network, ...] | None
    exact: Address | None = None

    def allows(self, address: Address) -> bool:
        """Whether a connection to *address* may be made."""
        if address == self.exact or self.networks is None:
            return True
        return any(address in network for network in self.networks)
