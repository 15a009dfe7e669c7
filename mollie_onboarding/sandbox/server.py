"""Dropping a connection for real: the caller gets no byte of an answer."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator, Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse


class ConnectionDropped(ConnectionResetError):  # noqa: N818 - reads as what happened
    """The sandbox hung up. WSGI servers take a `ConnectionResetError` for the caller's doing and stay silent."""

    def __init__(self) -> None:
        super().__init__(errno.ECONNRESET, "the sandbox dropped the connection")


class DroppedResponse(HttpResponse):
    """Not a response but its absence: hangs up when the WSGI server asks for its content.

    Raising inside the view would not do, as Django turns every exception there into a 500 page. The in-process
    transport (`transport.send`) raises `ConnectionDropped` when it is given one of these.
    """

    def __init__(self, request: HttpRequest) -> None:
        super().__init__(status=500)
        self._environ: Mapping[str, Any] = getattr(request, "environ", {})

    def __iter__(self) -> Iterator[bytes]:
        connection = _socket_of(self._environ)
        if connection is not None:
            # Not only close(): the server holds the socket a second time and would wait for the next request.
            connection.shutdown(socket.SHUT_RDWR)
        raise ConnectionDropped


def _socket_of(environ: Mapping[str, Any]) -> socket.socket | None:
    """The socket behind a request, for wsgiref, Django's runserver and live server, and gunicorn; None elsewhere."""
    if "gunicorn.socket" in environ:
        return _as_socket(environ["gunicorn.socket"])
    stream = environ.get("wsgi.input")
    # Django's server hides the reader in a `LimitedStream`, which keeps nothing of it but the bound method.
    reader = getattr(getattr(stream, "_read", None), "__self__", stream)
    return _as_socket(getattr(getattr(reader, "raw", None), "_sock", None))


def _as_socket(value: object) -> socket.socket | None:
    return value if isinstance(value, socket.socket) else None
