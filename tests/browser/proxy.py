"""What stands before a platform in production: TLS, a path prefix, and headers that say who asked and how."""

from __future__ import annotations

import datetime
import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

# RFC 9110 section 7.6.1: these belong to one connection.
HOP_BY_HOP = {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
TIMEOUT = 30  # seconds


@dataclass
class Proxy:
    """Before the server at `backend`, a port of this machine. What is asked outside of the prefix goes to `astray`."""

    backend: int
    prefix: str
    https_port: int = 0
    api_port: int = 0  # without TLS, for programs: they would not believe the certificate
    astray: list[str] = field(default_factory=list)


class _Listener(ThreadingHTTPServer):
    daemon_threads = False  # so that closing waits for them, and for their sockets
    request_queue_size = 50

    def __init__(self, proxy: Proxy, context: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.proxy = proxy
        self.connections: set[socket.socket] = set()
        if context:
            # The handshake waits for the connection's own thread: a browser opens connections that it may never use.
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self.connections.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        self.connections.discard(request)

    def hang_up(self) -> None:
        self.shutdown()
        for connection in list(self.connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that hangs up is no error of ours; what it then misses, the tests see."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = TIMEOUT
    server: Any

    def handle(self) -> None:
        if isinstance(self.request, ssl.SSLSocket):
            self.request.do_handshake()
        super().handle()

    def do_GET(self) -> None:
        proxy = cast("Proxy", self.server.proxy)
        if not self.path.startswith(f"{proxy.prefix}/"):
            proxy.astray.append(self.path)
            return self.send_error(404, "Not this platform's")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        connection = http.client.HTTPConnection("127.0.0.1", proxy.backend, timeout=TIMEOUT)
        try:
            path = self.path.removeprefix(proxy.prefix)
            connection.request(self.command, path, body or None, self._headers_for_platform(proxy))
            self._answer(connection.getresponse())
        finally:
            connection.close()

    do_HEAD = do_POST = do_DELETE = do_GET  # noqa: N815 (what the base class calls)

    def _headers_for_platform(self, proxy: Proxy) -> dict[str, str]:
        # Several of one name must not get lost: over HTTP/1.1 Chromium sends each once.
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
        if self.server.server_port == proxy.api_port:
            headers["Host"] = f"localhost:{proxy.https_port}"
        # A proxy overwrites what a visitor claims of the scheme, and appends the address that it saw.
        headers["X-Forwarded-Proto"] = "https"
        seen = self.headers.get("X-Forwarded-For", "")
        headers["X-Forwarded-For"] = f"{seen}, {self.client_address[0]}".lstrip(", ")
        return headers

    def _answer(self, answer: http.client.HTTPResponse) -> None:
        content = answer.read()
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in HOP_BY_HOP | {"content-length"}:
                self.send_header(name, value)
        if self.command != "HEAD" and answer.status not in (204, 304):
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """The platform's own log says it."""


@contextmanager
def run_proxy(directory: Path, backend: int, prefix: str = "") -> Iterator[Proxy]:
    """A proxy on two free ports. The certificate is made here, and nobody vouches for it."""
    proxy = Proxy(backend, prefix)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_write_certificate(directory))
    with ExitStack() as stack:
        listeners = [_Listener(proxy, context), _Listener(proxy, None)]
        proxy.https_port, proxy.api_port = (listener.server_port for listener in listeners)
        for listener in listeners:
            thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.1})
            thread.start()
            stack.callback(thread.join)
            stack.callback(listener.hang_up)
        yield proxy


def _write_certificate(directory: Path) -> Path:
    """Key and certificate in one file, for both of this machine's names."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    hosts = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = directory / "certificate.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path
