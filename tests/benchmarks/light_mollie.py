"""A Mollie that costs next to nothing, for figures and for tests with many processes: it makes client links, and counts.

python -m tests.benchmarks.light_mollie [<latency in seconds>]

Prints its port, and serves until it is killed. Connections are kept; each answer takes the latency, however many are
asked for at once. A repeated `Idempotency-Key` brings the same client link, or 409 while the first is on its way.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

MORE_LINES = "Content-Type: application/hal+json\r\nContent-Length: {}\r\n\r\n"


@dataclass(frozen=True)
class Calls:
    """What was asked of it. `owners` counts the client links that each e-mail address has got.

    `most` is how many requests were under way at once since it was asked before.
    """

    requests: int
    replayed: int
    most: int
    owners: dict[str, int]


class LightMollie:
    def __init__(self, latency: float) -> None:
        self.latency = latency
        self.requests = self.replayed = self.under_way = self.most = 0
        self.owners: Counter[str] = Counter()
        self.answers: dict[str, bytes | None] = {}  # by idempotency key; None while it is being made

    async def answer(self, method: str, path: str, key: str, content: bytes) -> tuple[int, bytes]:
        if (method, path) == ("GET", "/calls"):
            figures = {
                "requests": self.requests,
                "replayed": self.replayed,
                "most": self.most,
                "owners": self.owners,
            }
            self.most = 0
            return 200, json.dumps(figures).encode()
        if (method, path) != ("POST", "/v2/client-links"):
            return 404, b"{}"
        self.requests += 1
        is_replay = key in self.answers
        self.replayed += is_replay
        if key and not is_replay:
            self.answers[key] = None
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(self.latency)
        self.under_way -= 1
        if is_replay:
            made = self.answers[key]
            return (201, made) if made else (409, b'{"status": 409, "title": "Conflict"}')
        made = self._make(json.loads(content)["owner"]["email"])
        if key:
            self.answers[key] = made
        return 201, made

    def _make(self, owner: str) -> bytes:
        self.owners[owner] += 1
        name = f"cl_{self.owners.total()}"
        href = f"https://my.mollie.com/dashboard/client-link/{name}"
        links = {"clientLink": {"href": href, "type": "text/html"}}
        return json.dumps({"resource": "client-link", "id": name, "_links": links}).encode()

    async def serve_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                method, path, _ = head[0].split(" ", 2)
                headers = {
                    name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head)
                }
                content = await reader.readexactly(int(headers.get("content-length", "0")))
                status, body = await self.answer(method, path, headers.get("idempotency-key", ""), content)
                lines = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n" + MORE_LINES.format(len(body))
                writer.write(lines.encode() + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # whoever asked is gone, killed perhaps; what was made for them is made
        finally:
            writer.close()


async def main(latency: float) -> None:
    server = await asyncio.start_server(LightMollie(latency).serve_connection, "127.0.0.1", 0, backlog=1000)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@dataclass(frozen=True)
class Address:
    """Where a light Mollie is to be found."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def calls(self) -> Calls:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", "/calls")
            figures: dict[str, Any] = json.load(connection.getresponse())
            return Calls(**figures)
        finally:
            connection.close()


@contextmanager
def run_light_mollie(latency: float = 0) -> Iterator[Address]:
    """A light Mollie in a process of its own, for as long as the block runs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.light_mollie", str(latency)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parent.parent.parent,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield Address(int(process.stdout.readline()))
    finally:
        process.kill()
        process.communicate()


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 0))
