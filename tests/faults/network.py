"""The sandbox behind real HTTP on loopback, which spoils the answers to one call of a flow."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any
from unittest import mock
from urllib.parse import parse_qs

import urllib3.util.retry
from django.db import connections
from django.http import HttpResponse
from django.test import override_settings
from urllib3.connectionpool import HTTPConnectionPool

from mollie_onboarding.mollie_api import transport, wire
from mollie_onboarding.sandbox.transport import send
from mollie_onboarding.services import syncing

MOLLIE = "https://api.mollie.com"  # as the sandbox is to think it is called
LONGEST_WORK = 60.0  # seconds
SILENCE = 0.05  # seconds that stand for eight, after which we give up a silent connection
HAL_JSON = "application/hal+json"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


Spoil = Callable[[Answer], Answer]


def _instead(status: int, body: bytes, content_type: str = HAL_JSON, **headers: str) -> Answer:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, {"Content-Type": content_type, **names}, body)


def _refusal(status: int, **headers: str) -> Answer:
    return _instead(
        status, json.dumps({"status": status, "title": "No", "detail": "Not now"}).encode(), **headers
    )


def _elsewhere(answer: Answer) -> Answer:
    """The same, with every address at a host that is not Mollie's."""
    body = answer.body.replace(b"https://my.mollie.com", b"https://my.mollie.example")
    return Answer(answer.status, answer.headers, body.replace(MOLLIE.encode(), b"https://api.mollie.example"))


# In place of the work, of which nothing happens.
REFUSED: dict[str, Answer] = {
    "429 with Retry-After": _refusal(429, Retry_After="120"),
    "429": _refusal(429),
    "500": _refusal(500),
    "502": _refusal(502),
    "503": _refusal(503),
    "504": _refusal(504),
}
# After the work, in place of its answer.
SPOILT: dict[str, Spoil] = {
    "HTML": lambda answer: _instead(200, b"<!DOCTYPE html><title>Sign in to the proxy</title>", "text/html"),
    "not JSON": lambda answer: Answer(answer.status, answer.headers, b"{not json"),
    "other JSON": lambda answer: Answer(
        answer.status, answer.headers, b'{"resource": ["something", "else"]}'
    ),
    "wrong host": _elsewhere,
}
DROPPED_BEFORE, DROPPED_AFTER, DROPPED_HALFWAY, SILENT = (
    "dropped before",
    "dropped after",
    "dropped halfway",
    "silence",
)
FAULTS = (DROPPED_BEFORE, DROPPED_AFTER, DROPPED_HALFWAY, SILENT, *REFUSED, *SPOILT)


class FaultyMollie:
    """`codes` are those that came to the token endpoint, each as often as it came."""

    def __init__(self) -> None:
        self.codes: list[str] = []
        self.fault = ""  # what strikes every request now; '' for none
        self._connections: list[socket.socket] = []
        self._worked: list[None] = []  # an item for each request whose work is done
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = False
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    @contextmanager
    def running(self) -> Iterator[FaultyMollie]:
        self._thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._thread.join()
            for connection in self._connections:  # which callers keep open for their next call
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            self._server.server_close()

    @contextmanager
    def spoiling(self, index: int, fault: str) -> Iterator[None]:
        """Be Mollie; let every request of the call of that number, from 0, meet the fault, and no other one."""
        self.codes.clear()
        sender = transport.Transport._send
        calls = iter(range(1_000))

        def numbered_send(api: transport.Transport, *args: Any, **kwargs: Any) -> dict[str, Any]:
            is_struck = next(calls) == index
            self.fault = fault if is_struck else ""
            with self._giving_up_soon() if is_struck and fault == SILENT else nullcontext():
                return sender(api, *args, **kwargs)

        # Pauses between two tries, and those that a 429 asks of a worker, take no time here.
        no_pause = SimpleNamespace(time=urllib3.util.retry.time.time, sleep=lambda seconds: None)
        with (
            override_settings(MOLLIE_ONBOARDING_API_URL=f"http://127.0.0.1:{self._server.server_port}"),
            mock.patch.object(transport.Transport, "_send", numbered_send),
            mock.patch.object(urllib3.util.retry, "time", no_pause),
            mock.patch.object(syncing, "time", no_pause),
        ):
            yield

    @contextmanager
    def _giving_up_soon(self) -> Iterator[None]:
        """Let a silent answer be given up at once; ends when all work is done that was asked for."""
        tries: list[None] = []
        make_request = HTTPConnectionPool._make_request

        def counted(pool: HTTPConnectionPool, *args: Any, **kwargs: Any) -> Any:
            tries.append(None)
            return make_request(pool, *args, **kwargs)

        self._worked.clear()
        with (
            mock.patch.object(wire, "READ_TIMEOUT", SILENCE),
            mock.patch.object(HTTPConnectionPool, "_make_request", counted),
        ):
            try:
                yield
            finally:
                # In life the work is over long before eight seconds are.
                deadline = time.monotonic() + LONGEST_WORK
                while len(self._worked) < len(tries) and time.monotonic() < deadline:
                    time.sleep(0.005)

    def _handler(mollie) -> type[BaseHTTPRequestHandler]:  # noqa: N805 (`self` is the handler's in here)
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                mollie._connections.append(self.request)
                super().setup()

            def handle_one_request(self) -> None:
                self.close_connection = True
                with suppress(OSError):  # callers hang up on a silent server
                    super().handle_one_request()

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                mollie.codes += parse_qs(body.decode(errors="replace")).get("code", [])
                fault = mollie.fault
                if fault == DROPPED_BEFORE:
                    self._reset()
                elif fault in REFUSED:
                    self._send(REFUSED[fault])
                else:
                    self._spoil(self._work(body), fault)

            do_GET = do_POST = do_DELETE = _answer  # noqa: N815

            def _work(self, body: bytes) -> Answer:
                headers = {name: value for name, value in self.headers.items() if name != "Host"}
                try:
                    response: HttpResponse = send(
                        self.command, MOLLIE + self.path, headers=headers, body=body
                    )
                finally:
                    connections.close_all()  # this thread's
                    mollie._worked.append(None)
                return Answer(response.status_code, dict(response.items()), response.content)

            def _spoil(self, answer: Answer, fault: str) -> None:
                if fault and answer.status == 204:  # of an empty answer nothing can be spoilt
                    answer = Answer(200, answer.headers, b"{}")
                if fault == DROPPED_AFTER:
                    self._reset()
                elif fault == SILENT:
                    # Until the caller hangs up.
                    self.connection.recv(1)
                    self.close_connection = True
                elif fault == DROPPED_HALFWAY:
                    self._send(answer, half=True)
                    self.close_connection = True
                else:
                    self._send(SPOILT[fault](answer) if fault else answer)

            def _send(self, answer: Answer, *, half: bool = False) -> None:
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                if answer.status != 204:
                    self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                if answer.status != 204:
                    self.wfile.write(answer.body[: len(answer.body) // 2] if half else answer.body)

            def _reset(self) -> None:
                self.close_connection = True
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()

            def log_message(self, *args: object) -> None:
                pass

        return Handler
