"""Over real sockets and in real threads."""

from __future__ import annotations

import http.client
import io
import json
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from django.core.wsgi import get_wsgi_application
from django.db import connections
from django.test import RequestFactory

from mollie_onboarding.sandbox import service
from mollie_onboarding.sandbox.models import SandboxClientLink, SandboxOrganization, Token
from mollie_onboarding.sandbox.server import ConnectionDropped, DroppedResponse

from .conftest import BODY, SCOPE, Api, query_of

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"], transaction=True)

HEADERS = {"Authorization": "Bearer access_box_partner", "Content-Type": "application/json"}


class QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def wsgiref_address() -> Iterator[tuple[str, int]]:
    """The plain server of the standard library, as far from Django's as a server can be."""
    server = make_server("127.0.0.1", 0, _closing(get_wsgi_application()), handler_class=QuietHandler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield ("127.0.0.1", server.server_port)
    server.shutdown()
    thread.join()
    server.server_close()


def _closing(application: Any) -> Any:
    def call(environ: Any, start_response: Any) -> Any:
        try:
            return application(environ, start_response)
        finally:
            connections.close_all()

    return call


def post(connection: http.client.HTTPConnection, key: str) -> http.client.HTTPResponse:
    headers = {**HEADERS, "Idempotency-Key": key}
    connection.request("POST", "/v2/client-links", json.dumps(BODY), headers)
    return connection.getresponse()


@pytest.mark.parametrize("kind", ["drop_before", "lose_answer"])
def test_live_server_hangs_up(live_server: Any, kind: str) -> None:
    _check_hanging_up(live_server.thread.host, live_server.thread.port, kind)


@pytest.mark.parametrize("kind", ["drop_before", "lose_answer"])
def test_wsgiref_hangs_up(wsgiref_address: tuple[str, int], kind: str) -> None:
    _check_hanging_up(*wsgiref_address, kind)


def _check_hanging_up(host: str, port: int, kind: str) -> None:
    connection = http.client.HTTPConnection(host, port, timeout=5)
    # The connection is kept alive and used before: hanging up must not wait for the next request on it.
    assert post(connection, "first").read()
    service.add_fault("client_links", kind)

    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        post(connection, "second")

    assert SandboxClientLink.objects.count() == (1 if kind == "drop_before" else 2)
    connection.close()
    again = post(connection, "second")
    assert again.status == 201
    assert (again.headers["Idempotent-Replayed"] == "true") is (kind == "lose_answer")
    again.read()
    connection.close()


def test_gunicorn_socket_is_found() -> None:
    ours, theirs = socket.socketpair()
    request = RequestFactory().get("/")
    request.environ["gunicorn.socket"] = ours

    with ours, theirs:
        with pytest.raises(ConnectionDropped):
            iter(DroppedResponse(request))
        assert theirs.recv(1) == b""


def test_unknown_server_gets_the_exception() -> None:
    request = RequestFactory().get("/")
    request.environ["wsgi.input"] = io.BytesIO()

    with pytest.raises(ConnectionDropped):
        iter(DroppedResponse(request))


def in_threads(work: Callable[[], Any], number: int = 6) -> list[Any]:
    barrier = threading.Barrier(number)

    def call(_: int) -> Any:
        barrier.wait()
        try:
            return work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(call, range(number)))


def test_code_is_redeemed_once(api: Api, code: str) -> None:
    statuses = in_threads(lambda: api.exchange(code).status_code)

    assert sorted(statuses) == [200, 400, 400, 400, 400, 400]
    assert not Token.objects.valid().exists()


def test_key_is_worked_on_once(api: Api) -> None:
    statuses = in_threads(lambda: api.create(key="k").status_code)

    assert set(statuses) <= {201, 409}
    assert SandboxClientLink.objects.count() == 1


def test_fault_strikes_once(api: Api) -> None:
    service.add_fault("organization", "server_error")

    statuses = in_threads(lambda: api.get("/v2/organizations/me").status_code)

    assert sorted(statuses) == [200, 200, 200, 200, 200, 500]


def test_refresh_token_rotates_once(api: Api, granted: dict[str, Any]) -> None:
    service.set_switch("rotate_refresh_tokens", True)

    statuses = in_threads(lambda: api.refresh(granted["refresh_token"]).status_code)

    assert sorted(statuses) == [200, 400, 400, 400, 400, 400]


def test_link_makes_one_organization(link_id: str) -> None:
    urls = in_threads(lambda: service.approve(link_id, state="s", scope=SCOPE))

    assert SandboxOrganization.objects.count() == 1
    assert len({query_of(url)["code"] for url in urls}) == 6
