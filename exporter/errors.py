"""Why a target could not be read.

One exception with a closed list of reasons, so that callers see neither the client library's forty nor a
device's own words as a label. The detail is for logs and the debug page; it never holds a secret, and
never a URL, since some pools carry their key in one.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why a probe failed; the values are label values of the ``..._scrape_failure`` series."""

    TIMEOUT = "timeout"
    CONNECTION = "connection"
    HTTP_STATUS = "http_status"
    NOT_JSON = "not_json"
    BAD_SHAPE = "bad_shape"
    UNAUTHORISED = "unauthorised"
    STOCK_FIRMWARE = "stock_firmware"
    CIRCUIT_OPEN = "circuit_open"
    REFUSED = "refused"
    NO_DATA = "no_data"
    BUDGET_SPENT = "budget_spent"
    EMPTY = "empty"
    HTML = "html"
    THROTTLED = "throttled"
    POOL_ERROR = "pool_error"
    UNKNOWN_ACCOUNT = "unknown_account"
    IP_NOT_ALLOWED = "ip_not_allowed"


# Reasons that arise before anything is sent: they say nothing about the target's health.
NOT_ASKED = frozenset({Reason.CIRCUIT_OPEN, Reason.REFUSED, Reason.BUDGET_SPENT})


class ProbeError(Exception):
    """A target could not be read, or answered with something that is not an answer.

    *web_page* tells that an HTML page came where JSON was asked for: firmware answers so where it has no
    such path. The detail is for people; nothing is to be read from it.
    """

    def __init__(self, reason: Reason, detail: str, *, web_page: bool = False) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.web_page = web_page

    def bare(self) -> ProbeError:
        """This error, without the frames it was raised through: they hold whole answers.

        For whoever keeps it. A frame that has the error as a variable would keep itself alive, too.
        """
        self.__traceback__ = self.__context__ = self.__cause__ = None
        return self

    def at(self, path: str) -> ProbeError:
        """The same error, of an answer to *path*."""
        return ProbeError(self.reason, f"{path}: {self.detail}", web_page=self.web_page)
