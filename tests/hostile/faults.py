"""Answers no healthy device gives, and servers on loopback that give them.

A fault is what a device sends for one path, as raw bytes of HTTP, and the reasons a probe may name for it. The
other paths of the device answer as they should.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from exporter.simulator import api_v1
from exporter.simulator.hardware import HARDWARE
from exporter.simulator.miner import SimMiner

MINER_PATHS = ("info", "summary", "status", "model", "perf-summary", "chains", "chains/factory-info")
# Without these there is no reading.
NEEDED = ("info", "summary")
DIALECT = "1.2.7"

_TINY = b"[" + b"1e-320," * 9000 + b"0]"
_DEEP = b"[" * 60_000


def _status(code: int, body: bytes = b"", *headers: bytes) -> bytes:
    head = b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n" % (code, len(body))
    return head + b"".join(line + b"\r\n" for line in headers) + b"\r\n" + body


# Each body with status 200, and the reasons that are right for it on a path that is needed.
BODIES: dict[str, tuple[bytes, frozenset[str]]] = {
    name: (body, frozenset(reasons.split()))
    for name, body, reasons in (
        ("nothing", b"", "not_json empty"),
        ("null", b"null", "bad_shape"),
        ("a number", b"17", "bad_shape"),
        ("text", b'"mining"', "bad_shape"),
        ("true", b"true", "bad_shape"),
        ("a list", b"[]", "bad_shape"),
        ("a list of lists", b"[" + b"[]," * 20_000 + b"[]]", "bad_shape not_json"),
        ("a web page", b"<!doctype html><title>x</title>", "not_json html"),
        ("half an object", b'{"miner": {"hr_realtime": 17', "not_json"),
        ("noise", bytes(range(256)) * 64, "not_json"),
        ("NULs", b"\0" * 4096, "not_json"),
        ("another alphabet", '{"miner":1}'.encode("utf-16"), "not_json bad_shape"),
        ("a mark and nothing", b"\xef\xbb\xbf", "not_json"),
        ("nested lists", _DEEP, "not_json"),
        ("nested objects", b'{"a":' * 10_000, "not_json"),
        ("numbers near zero", _TINY, "bad_shape not_json"),
        ("a number of a thousand digits", b"9" * 1000, "bad_shape not_json"),
        ("a long text", b'"' + b"x" * 60_000 + b'"', "bad_shape"),
        ("a comma too many", b'{"miner":{},}', "not_json"),
        ("two documents", b'{"miner":{}}{"miner":{}}', "not_json"),
        ("a comment", b'{"miner":{} /* x */}', "not_json"),
        ("escapes that are none", b'"\\ud800\\x"', "not_json"),
        ("more than the cap", b"[" + b"0," * 3_000_000 + b"0]", "bad_shape"),
    )
}
# Whole responses.
RESPONSES: dict[str, tuple[bytes, frozenset[str]]] = {
    name: (raw, frozenset(reasons.split()))
    for name, raw, reasons in (
        *(
            (f"status {code}", _status(code, b"{}"), "http_status")
            for code in (201, 202, 400, 404, 418, 500, 502, 503)
        ),
        ("status 204", b"HTTP/1.1 204 No Content\r\n\r\n", "http_status"),
        ("status 401", _status(401), "unauthorised"),
        ("status 403", _status(403, b"{}"), "unauthorised"),
        ("status 429", _status(429, b"{}"), "http_status throttled"),
        ("a redirect inside", _status(302, b"", b"Location: http://169.254.169.254/latest/"), "http_status"),
        ("a redirect to itself", _status(307, b"", b"Location: /api/v1/info"), "http_status"),
        ("no HTTP", b"220 mail.example ESMTP\r\n", "connection"),
        ("a status that is none", b"HTTP/1.1 999999 X\r\n\r\n", "connection http_status"),
        ("a header without end", b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000, "connection"),
        (
            "a thousand headers",
            b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
            "connection timeout not_json",
        ),
        ("a longer body promised", b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{}", "connection"),
        ("a negative length", b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n{}", "connection"),
        (
            "two lengths",
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 9\r\n\r\n{}",
            "connection bad_shape",
        ),
        (
            "chunks that are none",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
            "connection",
        ),
        (
            "a bomb of zeros",
            _status(200, gzip.compress(b"0" * 50_000_000), b"Content-Encoding: gzip"),
            "bad_shape connection",
        ),
        (
            "a bomb of lists",
            _status(200, zlib.compress(b"[" * 50_000_000), b"Content-Encoding: deflate"),
            "bad_shape connection",
        ),
        ("gzip that is none", _status(200, b"{}", b"Content-Encoding: gzip"), "connection"),
        ("a closed connection", b"", "connection"),
    )
}


@dataclass(frozen=True, slots=True)
class Fault:
    """What a device sends for *path*, and which reasons are right; ``None`` if the reading must succeed."""

    name: str
    path: str
    raw: bytes
    reasons: frozenset[str] | None


def miner_faults() -> Iterator[Fault]:
    """Every body and response on every path of a miner that is needed, and most on the others."""
    wholes = {name: (_status(200, body), reasons) for name, (body, reasons) in BODIES.items()} | RESPONSES
    for path in MINER_PATHS:
        for name, (raw, reasons) in wholes.items():
            yield Fault(f"{path}: {name}", path, raw, reasons if path in NEEDED else None)


def pool_faults(key: str) -> Iterator[Fault]:
    """Every body and response of a pool, alone and in company of the key, with several types of content."""
    for name, (body, reasons) in BODIES.items():
        for kind in (b"application/json", b"text/html", b"text/plain; charset=latin-1", b"image/png"):
            raw = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s" % (
                kind,
                len(body),
                body,
            )
            yield Fault(f"{name} as {kind.decode()}", "api", raw, reasons)
    for name, (raw, reasons) in RESPONSES.items():
        yield Fault(name, "api", raw, reasons)
    echoes = {
        "error": json.dumps({"error": f"invalid key {key}"}).encode(),
        "a page": f"<title>{key}</title>".encode(),
        "a key of an object": json.dumps({key: {}}).encode(),
        "a user of text": json.dumps({"user": key}).encode(),
        "text": key.encode(),
    }
    for code in (200, 400, 401, 403, 404, 429, 500, 503):
        for name, body in echoes.items():
            raw = _status(code, body, b"X-Key: " + key.encode())
            yield Fault(
                f"status {code} and the key in {name}",
                "api",
                raw,
                frozenset({"unauthorised", "http_status", "throttled", "html", "not_json", "bad_shape"}),
            )
    for number in range(len(BODIES) * 2):
        # A document of an account, cut or with a byte turned.
        whole = bytearray(
            b'{"user":{"hash_rate":1},"workers":{"a":{"connected":true}},"pool":{"pps_rate":1e-10}}'
        )
        whole[1 + number] = 0x00
        yield Fault(f"byte {1 + number} is NUL", "api", _status(200, bytes(whole)), None)


def healthy_answers(model: str = "l9") -> dict[str, bytes]:
    """What a healthy miner says on each path, as whole responses."""
    miner = SimMiner("healthy", HARDWARE[model], 1, "account.healthy")
    made: Mapping[str, Callable[[], object]] = {
        "info": lambda: api_v1.info(miner, DIALECT, "127.0.0.1"),
        "model": lambda: api_v1.model(miner, DIALECT),
        "status": lambda: api_v1.status(miner, DIALECT, unlocked=False),
        "summary": lambda: api_v1.summary(miner, DIALECT, unlocked=False),
        "perf-summary": lambda: api_v1.perf_summary(miner, DIALECT),
        "chains": lambda: api_v1.chains(miner),
        "chains/factory-info": lambda: api_v1.factory_info(miner),
    }
    return {path: _status(200, json.dumps(make()).encode()) for path, make in made.items()}


class RawServer:
    """One address on loopback that says what it is told, byte by byte, and closes."""

    def __init__(self, answers: Mapping[str, bytes], *, prefix: str = "/api/v1/") -> None:
        self._answers = answers
        self._prefix = prefix
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self, address: str = "127.0.0.1") -> None:
        """Listen at a port the system chooses."""
        self._server = await asyncio.start_server(self._serve, address, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening."""
        if self._server:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ", 2)[1].decode("latin-1").partition("?")[0].removeprefix(self._prefix)
            writer.write(self._answers.get(path, _status(404)))
            await writer.drain()
        writer.close()
