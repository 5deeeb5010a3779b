"""The routes: parameters to a target and a deadline, a probe, and an answer in the format asked for."""

from __future__ import annotations

import asyncio
import math
import re
from typing import Any

import yaml
from aiohttp import ETag, web
from aiohttp.helpers import ETAG_ANY
from prometheus_client.exposition import choose_encoder
from pydantic import SecretStr

from exporter.exposition import Format, Page, negotiate, render
from exporter.fleet import BusyError, Target, UnknownTargetError
from exporter.market.market import Market
from exporter.probe import Look
from exporter.server import http_sd, landing, overview, runbook
from exporter.server.headers import harden
from exporter.server.origin import crosses_origins, is_of_this_machine
from exporter.server.runtime import Runtime
from exporter.server.signature import (
    SIGNATURE_HEADER,
    SIGNATURES,
    TIMESTAMP_HEADER,
    RefusedError,
    Signatures,
    is_signed,
)
from exporter.server.web_config import WEB_CONFIG, WebConfig, require_user

RUNTIME = web.AppKey("runtime", Runtime)
TIMEOUT_HEADER = "X-Prometheus-Scrape-Timeout-Seconds"
_BODY_SECONDS = 10.0
_WORTH_COMPRESSING_BYTES = 512 * 1024
_PROBE_PARAMETERS = frozenset({"target", "module", "debug"})


def create_app(runtime: Runtime, web_config: WebConfig | None = None) -> web.Application:
    """The application for one runtime."""
    app = web.Application(middlewares=[require_user], client_max_size=64 * 1024)
    # Not a middleware: those see no answer that is raised, or made before a handler was found.
    app.on_response_prepare.append(harden)
    app.on_cleanup.append(_clean_up)
    app[RUNTIME] = runtime
    app[WEB_CONFIG] = web_config or WebConfig()
    secret = runtime.config.server.signing_secret
    app[SIGNATURES] = Signatures(secret.get_secret_value(), runtime.wall_clock) if secret else None
    app.add_routes(
        [
            web.get("/", _landing),
            web.get("/probe", _probe),
            web.get("/fleet", _fleet),
            web.get("/sd/miners", _sd_miners),
            web.get("/sd/pools", _sd_pools),
            web.get("/metrics", _metrics),
            web.get("/config", _config),
            # The path of the file, so that a link needs only another beginning to lead to the repository.
            web.get("/docs/runbook.md", _runbook),
            web.get("/-/healthy", _healthy),
            web.get("/-/ready", _ready),
            web.get("/-/reload", _reload_needs_post),
            web.post("/-/reload", _reload),
        ]
    )
    return app


async def _clean_up(app: web.Application) -> None:
    app[WEB_CONFIG].close()
    app[RUNTIME].fleet.close()


def _bad_request(text: str) -> web.HTTPBadRequest:
    return web.HTTPBadRequest(text=f"400: {text}\n")


def _forbidden(text: str) -> web.HTTPForbidden:
    return web.HTTPForbidden(text=f"403: {text}\n")


def deadline(request: web.Request, runtime: Runtime) -> float:
    """When this answer must be on its way, on the monotonic clock.

    The scraper's own timeout less the configured offset, and never more than ``fleet.timeout_seconds``.

    Raises:
        HTTPBadRequest: the header is not a positive number of seconds.
    """
    seconds = runtime.config.fleet.timeout_seconds
    header = request.headers.get(TIMEOUT_HEADER)
    if header is not None:
        try:
            limit = float(header)
        except ValueError:
            limit = math.nan
        if not (math.isfinite(limit) and limit > 0):
            raise _bad_request(f"{TIMEOUT_HEADER}: expected a positive number of seconds")
        offset = runtime.config.server.scrape_timeout_offset_seconds
        # A timeout shorter than the offset leaves half of it to ask and half to answer.
        seconds = min(seconds, limit - offset if limit > offset else limit / 2)
    return runtime.clock() + seconds


def _target(request: web.Request, runtime: Runtime) -> Target | Market:
    query = request.query
    unknown = sorted(set(query) - _PROBE_PARAMETERS)
    if unknown:
        raise _bad_request("unknown parameter; known are target, module and debug")
    if any(len(query.getall(name)) > 1 for name in query):
        raise _bad_request("each parameter may be given once")
    if not query.get("target"):
        raise _bad_request("the parameter target is needed: a configured name, or an address")
    try:
        return runtime.fleet.find(query["target"], query.get("module"))
    except UnknownTargetError as error:
        if error.forbidden:
            raise _forbidden(str(error)) from None
        raise _bad_request(str(error)) from None
    except BusyError as error:
        raise web.HTTPServiceUnavailable(text=f"503: {error}\n") from None


async def _look(runtime: Runtime, target: Target | Market, until: float) -> tuple[Look[Any], Page]:
    telemetry = runtime.telemetry
    started = runtime.clock()
    telemetry.in_flight.inc()
    try:
        look, page = await target.probe(until)
    finally:
        telemetry.in_flight.dec()
    telemetry.probes.labels(target.module).inc()
    telemetry.durations.labels(target.module).observe(runtime.clock() - started)
    if look.error:
        telemetry.failures.labels(target.module, str(look.error.reason)).inc()
    return look, page


def _answer(body: bytes, form: Format) -> web.Response:
    response = web.Response(body=body, headers={"Content-Type": form.value})
    _compress_if_large(response)
    return response


def _compress_if_large(response: web.Response) -> None:
    """Compressing a page of one miner costs more than all else a probe does."""
    if response.content_length and response.content_length > _WORTH_COMPRESSING_BYTES:
        response.enable_compression()


async def _probe(request: web.Request) -> web.Response:
    runtime = request.app[RUNTIME]
    target = _target(request, runtime)
    look, page = await _look(runtime, target, deadline(request, runtime))
    if request.query.get("debug") == "true":
        return web.Response(text=_debug_text(target, look, page))
    form = negotiate(request.headers.get("Accept", ""))
    return _answer(render([({}, page)], form), form)


def _debug_text(target: Target | Market, look: Look[Any], page: Page) -> str:
    verdict = f"down, {look.error}" if look.error else "up"
    lines = [
        f"target {target.instance} (module {target.module}): {verdict}",
        f"took {look.seconds:.3f} s",
        "",
    ]
    for step in look.steps:
        status = step.status if step.status is not None else "no answer"
        lines.append(f"{step.method} {step.path}: {status}, {step.bytes} bytes, {step.seconds * 1000:.0f} ms")
        if step.problem:
            lines.append(f"    {step.problem}")
    if not look.steps:
        lines.append("no request was sent")
    return "\n".join(lines) + "\n\n" + render([({}, page)], Format.TEXT).decode()


async def _fleet(request: web.Request) -> web.Response:
    runtime = request.app[RUNTIME]
    if request.query:
        raise _bad_request("/fleet takes no parameters")
    until = deadline(request, runtime)
    targets = list(runtime.fleet)
    looks = await asyncio.gather(*(_look(runtime, target, until) for target in targets))
    # Sixty miners with some thousand chip series each are no page for one scrape; /probe has them.
    pages = [
        ({"instance": target.instance, **target.labels}, page.without("chip"))
        for target, (_, page) in zip(targets, looks, strict=True)
    ]
    form = negotiate(request.headers.get("Accept", ""))
    return _answer(render(pages, form), form)


def _discovery(request: web.Request, discovery: http_sd.Discovery) -> web.Response:
    # Without it aiohttp would look up this machine's own name, and everybody would wait for that.
    host = request.headers.get("Host")
    if not host:
        raise _bad_request("a Host header is needed: it is where the targets are scraped")
    # Weak, since it is the same for the compressed answer.
    tag = ETag(discovery.tag(host, request.scheme), is_weak=True)
    known = request.if_none_match or ()
    if any(one.value in (tag.value, ETAG_ANY) for one in known):
        response = web.Response(status=304)
    else:
        response = web.Response(
            body=discovery.body(host, request.scheme), content_type="application/json", charset="utf-8"
        )
        _compress_if_large(response)
    response.etag = tag
    # May be kept, and is to be asked for again each time.
    response.headers["Cache-Control"] = "no-cache"
    response.headers["Vary"] = "Accept-Encoding, Host"
    return response


async def _sd_miners(request: web.Request) -> web.Response:
    return _discovery(request, request.app[RUNTIME].miner_discovery)


async def _sd_pools(request: web.Request) -> web.Response:
    return _discovery(request, request.app[RUNTIME].pool_discovery)


async def _metrics(request: web.Request) -> web.Response:
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    body = encode(request.app[RUNTIME].telemetry.registry)
    return web.Response(body=body, headers={"Content-Type": content_type})


async def _config(request: web.Request) -> web.Response:
    config = request.app[RUNTIME].config
    view = config.root.model_dump(mode="python")
    view["pools"] = [
        {"type": account.type, **account.settings.model_dump(mode="python")} for account in config.pools
    ]
    return web.Response(text=yaml.safe_dump(_without_secrets(view), sort_keys=False, allow_unicode=True))


def _without_secrets(value: object) -> object:
    if isinstance(value, SecretStr):
        return "<secret>"
    if isinstance(value, dict):
        return {str(key): _without_secrets(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_secrets(item) for item in value]
    return _without_login(value) if isinstance(value, str) else value


def _without_login(text: str) -> str:
    """*text* without what may be secret in a URL: the user and his password, the path and all behind it."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "", text
    login, at, place = rest.rpartition("@")
    if not separator and ":" not in login:
        return str(text)
    host = re.split("[/?#]", place, maxsplit=1)[0]
    behind = place[len(host) :]
    hidden = "/<hidden>" if behind not in ("", "/") else behind
    return f"{scheme}{separator}{'<secret>@' if at else ''}{host}{hidden}"


async def _landing(request: web.Request) -> web.Response:
    runtime = request.app[RUNTIME]
    fleet = runtime.fleet
    await overview.refresh(fleet, runtime.clock)
    view = overview.overview(fleet, runtime.clock(), runtime.wall_clock())
    # Thousands of rows take a moment, which nobody else should wait.
    return _html(await asyncio.to_thread(landing.page, view))


async def _runbook(_request: web.Request) -> web.Response:
    return _html(await asyncio.to_thread(runbook.page))


def _html(text: str) -> web.Response:
    return web.Response(
        text=text,
        content_type="text/html",
        headers={
            "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
            "base-uri 'none'; frame-ancestors 'none'",
        },
    )


async def _healthy(_request: web.Request) -> web.Response:
    return web.Response(text="Healthy\n")


async def _ready(_request: web.Request) -> web.Response:
    return web.Response(text="Ready\n")


async def _reload_needs_post(_request: web.Request) -> web.Response:
    raise web.HTTPMethodNotAllowed("GET", ["POST"], text="405: this endpoint requires a POST request\n")


async def _reload(request: web.Request) -> web.Response:
    if set(request.query) - {"force"} or request.query.getall("force", ["1"]) not in (["0"], ["1"]):
        raise _bad_request("the one parameter of a reload is force, 0 or 1")
    if crosses_origins(request):
        raise _forbidden("reload is not for pages of others")
    if is_signed(request):
        await _check_signature(request)
    elif not request.app[WEB_CONFIG].users:
        if request.app[SIGNATURES] is not None:
            raise _forbidden(f"reload needs {TIMESTAMP_HEADER} and {SIGNATURE_HEADER}")
        # Without users there is nobody to authenticate as; then only this machine may.
        if not is_of_this_machine(request):
            raise _forbidden(
                "reload is for this machine, asked as localhost or 127.0.0.1 and not through a proxy; "
                "for the users of server.web_config_file; or for who can sign with server.hmac_secret"
            )
    faults = await request.app[RUNTIME].reload(force=request.query.get("force") == "1")
    if faults:
        raise web.HTTPInternalServerError(
            text="500: the configuration was not taken over:\n" + "\n".join(faults) + "\n"
        )
    return web.Response(text="Reloaded\n")


async def _check_signature(request: web.Request) -> None:
    signatures = request.app[SIGNATURES]
    assert signatures is not None, "is_signed says so"  # noqa: S101
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            body = await request.read()
    except TimeoutError:
        raise web.HTTPRequestTimeout(text="408: the body did not arrive\n") from None
    except web.RequestPayloadError:
        raise _bad_request("the body cannot be read") from None
    try:
        signatures.check(request.headers.get(TIMESTAMP_HEADER, ""), request.headers[SIGNATURE_HEADER], body)
    except RefusedError as error:
        raise _forbidden(str(error)) from None
