"""A Mollie on loopback that answers by script, for what the sandbox cannot do: broken connections, HTML, bad headers.

    with FakeMollie() as mollie:
        mollie.answers(500).answers(201, {"id": "cl_1"})
        ...  # two requests to mollie.url
        assert [request.path for request in mollie.requests] == [...]

Each request takes the next line of the script. One without a line is answered 418 and remembered in `unexpected`.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass(frozen=True)
class Answer:
    """What one request gets. `instead` is '' or the fault that takes the place of a whole answer."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    instead: str = ""


@dataclass(frozen=True)
class Request:
    """A request as it came; `connection` is the port at the other end, the same for a connection that was kept."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    connection: int

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class FakeMollie:
    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.dropped = 0
        self.unexpected: list[str] = []
        self.is_over = threading.Event()
        self._script: deque[Answer] = deque()
        self._connections: list[socket.socket] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        # Joined by server_close: no thread of one test is left for the next.
        self._server.daemon_threads = False
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def left(self) -> list[Answer]:
        """The lines of the script that no request has taken."""
        return list(self._script)

    def answers(self, status: int, body: Any = None, **headers: str) -> Self:
        """Answer with a status, with JSON (or bytes as they are), and with headers: `Retry_After="1"`."""
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        names = {"Content-Type": "application/hal+json"} if content else {}
        names |= {name.replace("_", "-"): value for name, value in headers.items()}
        self._script.append(Answer(status, content, names))
        return self

    def drops(self, moment: str) -> Self:
        """Close the connection: `before` reading the request, `after` it, in the `middle` of the answer's body."""
        self._script.append(Answer(body=b'{"id": "never to its end"}', instead=moment))
        return self

    def hangs(self) -> Self:
        """Take the request, and say nothing until the test is over."""
        self._script.append(Answer(instead="hang"))
        return self

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.is_over.set()
        self._server.shutdown()
        self._thread.join()
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._server.server_close()

    def _handler(fake) -> type[BaseHTTPRequestHandler]:  # noqa: N805 (`self` is the handler's in here)
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"  # connections are kept, as at Mollie

            def setup(self) -> None:
                fake._connections.append(self.request)
                super().setup()

            def handle_one_request(self) -> None:
                # A fault "before" happens when the request is on its way: wait for its first byte.
                with suppress(OSError):
                    arrived = self.rfile.peek(1)
                    if arrived and fake._script and fake._script[0].instead == "before":
                        fake._script.popleft()
                        self._reset()
                        return
                    super().handle_one_request()
                    return
                self.close_connection = True

            def _answer(self) -> None:
                length = int(self.headers.get("Content-Length", "0"))
                body = self.rfile.read(length)
                fake.requests.append(
                    Request(self.command, self.path, self.headers, body, self.client_address[1])
                )
                if not fake._script:
                    fake.unexpected.append(f"{self.command} {self.path}")
                    fake._script.append(Answer(418, b"{}"))
                answer = fake._script.popleft()
                if answer.instead == "hang":
                    fake.is_over.wait(10)
                    self.close_connection = True
                elif answer.instead == "after":
                    self._reset()
                else:
                    self._send(answer)

            do_GET = do_POST = do_DELETE = _answer  # noqa: N815

            def _send(self, answer: Answer) -> None:
                self.send_response(answer.status)
                if answer.status != 204 and "Content-Length" not in answer.headers:
                    self.send_header("Content-Length", str(len(answer.body)))
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                if answer.instead == "middle":
                    self.wfile.write(answer.body[: len(answer.body) // 2])
                    self.close_connection = True
                else:
                    self.wfile.write(answer.body)

            def _reset(self) -> None:
                """End the connection at once, as a crashed server or a firewall does."""
                fake.dropped += 1
                self.close_connection = True
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()

            def log_message(self, *args: object) -> None:
                pass

        return Handler
