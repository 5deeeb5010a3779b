"""Access to a miner that asks for a password: a token by login, or an API key.

Reads are tried without a token first, since most builds answer them; a 401 leads to one login and one more
try. Requests to one miner are one at a time already, so logins are too: two at once can invalidate each
other's token. A refused password is not tried again, and a locked login waits as long as the miner says.

The login, ``POST /api/v1/unlock``, is the only request that is not a GET anywhere in this program. It holds
the password as it is, so it goes to a miner only that has shown in the same probe that it speaks this
interface: by an answer, or by a 401 that does not ask for HTTP Digest, as old firmware's does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import SecretStr

from exporter.errors import ProbeError, Reason
from exporter.fields import Fields, decode
from exporter.http import ANSWER_BYTES, Client
from exporter.units import clean

UNLOCK = "/api/v1/unlock"
# Where the miner does not say how long: after a wrong password, and after any other login without a token.
WRONG_PASSWORD_SECONDS = 900.0
AFTER_FAILURE_SECONDS = 60.0


class Access:
    """Credentials of one miner and the token they got."""

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        password: SecretStr | None = None,
        api_key: SecretStr | None = None,
        full_detail: bool = False,
    ) -> None:
        self._clock = clock
        self._password = password
        self._api_key = api_key
        self._full_detail = full_detail
        self._token: str | None = None
        self._not_before = 0.0

    @property
    def wait(self) -> float | None:
        """Seconds until another login may be tried; ``None`` where there is no password."""
        return None if self._password is None else max(0.0, self._not_before - self._clock())

    @property
    def authenticated(self) -> bool | None:
        """Whether requests carry a token or a key; ``None`` where there are no credentials."""
        if self._password is None and self._api_key is None:
            return None
        return bool(self._api_key or self._token)

    async def get_json(
        self,
        client: Client,
        path: str,
        decoder: Callable[[bytes], Any] = decode,
        max_bytes: int = ANSWER_BYTES,
    ) -> Any:
        """As the client's, with a token where one is needed.

        Raises:
            ProbeError: ``unauthorised`` if there is no way in, else as the client.
        """
        if self._full_detail and not self.authenticated and _has_answered(client):
            await self._log_in(client)
        try:
            return await client.get_json(path, self._headers(), decoder, max_bytes=max_bytes)
        except ProbeError as error:
            if (
                error.reason is not Reason.UNAUTHORISED
                or client.digest_wanted
                or not await self._log_in(client)
            ):
                raise
        try:
            return await client.get_json(path, self._headers(), decoder, max_bytes=max_bytes)
        except ProbeError as error:
            if error.reason is Reason.UNAUTHORISED:
                # A token that opens nothing: asking for another would only be hammering.
                self._token = None
                self._not_before = self._clock() + AFTER_FAILURE_SECONDS
            raise

    def forget(self) -> None:
        """Drop the token; for a miner that was away."""
        self._token = None

    def _headers(self) -> Mapping[str, str] | None:
        if self._api_key:
            return {"x-api-key": self._api_key.get_secret_value()}
        return {"Authorization": f"Bearer {self._token}"} if self._token else None

    async def _log_in(self, client: Client) -> bool:
        """Get a token; whether there is one now. A miner that refuses is left alone for a while."""
        self._token = None
        if self._password is None or self._clock() < self._not_before:
            return False
        self._not_before = self._clock() + AFTER_FAILURE_SECONDS
        answer = await client.request("POST", UNLOCK, json={"pw": self._password.get_secret_value()})
        if answer.status == 200:
            token = Fields(_decoded(answer.body), "unlock", Counter()).raw("token")
            if (
                isinstance(token, str)
                and 0 < len(token) <= 256
                and token == clean(token, 256)
                and token.isascii()
            ):
                self._token = token
                self._not_before = 0.0
                return True
        if answer.status in (403, 429):
            seconds = WRONG_PASSWORD_SECONDS if answer.status == 403 else AFTER_FAILURE_SECONDS
            self._not_before = self._clock() + max(seconds, _told_to_wait(answer.body))
            client.steps[-1].problem = (
                "the password is wrong" if answer.status == 403 else "too many logins; waiting as told"
            )
        return False


def _has_answered(client: Client) -> bool:
    return not client.digest_wanted and any(
        step.method == "GET" and step.status == 200 and not step.problem for step in client.steps
    )


def no_such_path(client: Client, error: ProbeError) -> bool:
    """Whether the last answer says that this version has no such path.

    Firmware says so with its web page, some builds with status 404.
    """
    if error.reason is Reason.HTTP_STATUS:
        return client.steps[-1].status == 404
    return error.web_page


def _decoded(body: bytes) -> Any:
    """The answer to a login; nothing if it is not JSON."""
    try:
        return decode(body)
    except ProbeError:
        return None


def _told_to_wait(body: bytes) -> float:
    """Seconds the miner says to wait, at most a day."""
    seconds = Fields(_decoded(body), "unlock", Counter()).number("unlock_timeout")
    return min(max(seconds or 0.0, 0.0), 86_400.0)
