"""What a pool's answer is before its figures are read: the ways to fail quietly, told apart.

Pools answer a wrong key, a caller who is too quick, or maintenance with status 200 and an empty body, an
empty object, a web page or a message. Who trusts the status reports zeros as truth.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exporter.errors import ProbeError, Reason
from exporter.fields import decode
from exporter.http import Client

# An account of five thousand workers is some 1.3 MB.
MAX_BYTES = 2 * 1024 * 1024
_STATUS = {401: Reason.UNAUTHORISED, 403: Reason.UNAUTHORISED, 429: Reason.THROTTLED}


async def ask(
    client: Client,
    path: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    json: Any = None,
    shown: str | None = None,
    max_bytes: int = MAX_BYTES,
) -> Any:
    """Send one request and decode its JSON; *query*, *headers* and *json* may hold a key, *path* if *shown*.

    Raises:
        ProbeError: as the client's ``request``; ``unauthorised`` for 401 and 403, ``throttled`` for 429,
            ``http_status`` for any other status but 200, ``empty`` for no body, ``html`` for a web page,
            ``not_json`` for anything else that is not JSON.
    """
    answer = await client.request(
        method, path, headers=headers, query=query, json=json, shown=shown, max_bytes=max_bytes
    )
    name = shown or path
    try:
        if answer.status != 200:
            raise ProbeError(
                _STATUS.get(answer.status, Reason.HTTP_STATUS), f"{name} answered status {answer.status}"
            )
        body = answer.body.strip()
        if not body:
            raise ProbeError(Reason.EMPTY, f"{name} answered with nothing")
        if body.startswith(b"<"):
            raise ProbeError(Reason.HTML, f"{name} answered with a web page")
        try:
            return decode(answer.body)
        except ProbeError as error:
            raise ProbeError(error.reason, f"{name}: {error.detail}") from None
    except ProbeError as error:
        noted(client, error)
        raise


def noted(client: Client, problem: ProbeError) -> ProbeError:
    """*problem*, written down with the request whose answer it is."""
    client.steps[-1].problem = str(problem)
    return problem
