"""The FHIR endpoint: an ASGI callable that turns each request into one interaction and sends its answer.

R4 http.html. Plain ASGI because a framework's routing costs more than a read (36 µs against 119 µs a request).
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Awaitable, Callable
from itertools import count
from time import perf_counter

import orjson

from fhir_server.errors import FhirError, MethodNotAllowed, Overloaded
from fhir_server.http.answer import Answer, compose_answer, send_answer
from fhir_server.http.asgi import HeaderList, Receive, Scope, Send
from fhir_server.http.base_url import FHIR_PREFIX, BaseUrl
from fhir_server.http.body import ClientDisconnectedError, read_body
from fhir_server.http.cors import ALLOWED_METHODS, Cors
from fhir_server.http.departure import while_connected
from fhir_server.http.negotiation import FORM, body_types, check_content_type, response_type, wants_fhir
from fhir_server.http.origin import OriginCheck
from fhir_server.http.request_headers import read_headers, refuse_ambiguous
from fhir_server.http.target import decode_path, refuse_long_target
from fhir_server.interactions.async_request import PLACE as ASYNC
from fhir_server.interactions.exchange import FHIR_JSON, Request, Response, Server
from fhir_server.model.url import decode_query
from fhir_server.observability import metrics
from fhir_server.observability.access_log import log_request
from fhir_server.observability.failure import failed
from fhir_server.observability.route import route_of

Dispatch = Callable[[Server, Request], Awaitable[Response]]

INLINE_BYTES = 1_000_000
CLIENT_CLOSED_REQUEST = 499
"""Logged, never sent: the client went away before its request was complete."""
_METHODS = frozenset(ALLOWED_METHODS.decode().split(", "))
_METHODS_WITH_BODY = frozenset(("POST", "PUT", "PATCH"))
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}", re.ASCII)
_PREFIX_LENGTH = len(FHIR_PREFIX)
_CONTENT = ("Binary/", f"{ASYNC}/")
_PROCESS_ID = os.urandom(6).hex()
_numbers = count(1)


class FhirEndpoint:
    """Everything below the FHIR base."""

    def __init__(
        self,
        server: Server,
        dispatch: Dispatch,
        base_url: BaseUrl,
        overloaded: Callable[[], bool] = lambda: False,
    ) -> None:
        self._server = server
        self._dispatch = dispatch
        self._base_url = base_url
        self._overloaded = overloaded
        self._cors = Cors(server.settings.cors_origins)
        self._origin_check = OriginCheck(server.settings, self._cors)
        self._access_log = server.settings.access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = perf_counter()
        headers = read_headers(scope["headers"])
        method: str = scope["method"]
        request = Request(method, "", headers=headers)
        request_id = headers["x-request-id"] = _request_id(headers.get("x-request-id"))
        status, size = CLIENT_CLOSED_REQUEST, 0
        try:
            response, json_type = await self._answer(request, request_id, scope, receive)
            answer = await self._composed(response, json_type, request, request_id, method)
            status = answer.status
            size = await send_answer(send, answer, head=method == "HEAD")
        except ClientDisconnectedError:
            pass
        finally:
            seconds = perf_counter() - started
            interaction, route = route_of(method, request.path)
            metrics.request_finished(interaction, status, seconds)
            if self._access_log:
                known = method if method in _METHODS else "OTHER"
                log_request(request_id, known, route, request.query, status, seconds, size)

    async def _answer(self, request: Request, request_id: str, scope: Scope, receive: Receive) -> tuple[Response, str]:
        """The response and the media type its JSON is sent as; every failure is an OperationOutcome."""
        json_type = FHIR_JSON
        try:
            if self._overloaded():
                raise Overloaded("The server has too many connections. Try again shortly.")
            refuse_ambiguous(request.headers, scope["headers"])
            forwarded = self._base_url.forwarded(scope, request.headers)
            self._origin_check.refuse_foreign(request.method, request.headers, forwarded)
            self._read_target(request, scope)
            json_type = _negotiate(request)
            if request.method == "OPTIONS":
                return Response(204, headers={"Allow": ALLOWED_METHODS.decode()}), json_type
            request.base_url = self._base_url.of(scope, request.headers)
            if request.method in _METHODS_WITH_BODY:
                await self._read_body(request, receive)
            elif request.method == "HEAD":
                request.method = "GET"
            if request.may_write:
                return await self._dispatch(self._server, request), json_type
            return await while_connected(receive, lambda: self._dispatch(self._server, request)), json_type
        except FhirError as error:
            return refusal(error), json_type
        except (ClientDisconnectedError, GeneratorExit):
            raise
        except Exception as error:
            return refusal(failed(error, request_id)), json_type

    def _read_target(self, request: Request, scope: Scope) -> None:
        raw_path: bytes = scope["raw_path"]
        query_string: bytes = scope["query_string"]
        refuse_long_target(len(raw_path) + len(query_string))
        request.path = decode_path(raw_path[_PREFIX_LENGTH:])
        request.query = decode_query(query_string)
        if request.method not in _METHODS:
            raise MethodNotAllowed(
                f"The method is not one of {ALLOWED_METHODS.decode()}.", headers={"Allow": ALLOWED_METHODS.decode()}
            )

    async def _read_body(self, request: Request, receive: Receive) -> None:
        settings = self._server.settings
        request.body = await read_body(
            request.headers, receive, max_bytes=settings.max_body_bytes, pause_seconds=settings.receive_seconds
        )
        if not request.body:
            return
        allowed = body_types(request.method, request.path)
        if allowed is not None:
            check_content_type(request.headers.get("content-type", ""), allowed)
            if allowed == (FORM,):
                request.query = request.query + decode_query(request.body)
                request.body = b""

    async def _composed(
        self, response: Response, json_type: str, request: Request, request_id: str, method: str
    ) -> Answer:
        """A large body is formatted and compressed in a thread, so that the event loop goes on answering others."""
        if isinstance(response.body, bytes) and len(response.body) > INLINE_BYTES:
            return await asyncio.to_thread(self._compose, response, json_type, request, request_id, method)
        return self._compose(response, json_type, request, request_id, method)

    def _compose(self, response: Response, json_type: str, request: Request, request_id: str, method: str) -> Answer:
        headers = request.headers
        extra = self._extra_headers(request_id, headers, method)
        try:
            return compose_answer(
                response,
                json_type=json_type,
                accept_encoding=headers.get("accept-encoding", ""),
                pretty=_asks_pretty(request.query),
                extra=extra,
            )
        except Exception as error:
            failure = refusal(failed(error, request_id))
            return compose_answer(failure, json_type=json_type, accept_encoding="", pretty=False, extra=extra)

    def _extra_headers(self, request_id: str, headers: dict[str, str], method: str) -> HeaderList:
        extra = [(b"x-request-id", request_id.encode("ascii"))]
        if "origin" in headers:
            extra += self._cors.headers(headers["origin"], preflight=method == "OPTIONS")
        return extra


def _request_id(sent: str | None) -> str:
    """The client's id when it is a harmless token, else one of ours."""
    if sent and _REQUEST_ID.fullmatch(sent):
        return sent
    return f"{_PROCESS_ID}-{next(_numbers):x}"


def _negotiate(request: Request) -> str:
    accept = request.headers.get("accept", "")
    format_ = ""
    for name, value in request.query:
        if name == "_format":
            format_ = value
    if not format_ and request.path.startswith(_CONTENT) and not wants_fhir(accept):
        # The content itself is asked for, whatever its media type (R4 binary.html#rest), or a file (async.html).
        return FHIR_JSON
    return response_type(accept, format_)


def refusal(error: FhirError) -> Response:
    return Response(error.status, orjson.dumps(error.as_json()), error.headers)


def _asks_pretty(query: list[tuple[str, str]]) -> bool:
    return bool(query) and ("_pretty", "true") in query
