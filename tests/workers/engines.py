"""The engines that may drain the queue: what each needs, and how its workers are started and killed."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import uuid
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import django
from django.db import connection

from tests.processes import arguments_of

REDIS = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/13")
RABBITMQ = os.environ.get("TEST_RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:5672//")


@dataclass(frozen=True)
class Engine:
    """A task backend, and the command line of its worker."""

    settings: str
    worker: tuple[str, ...]
    packages: tuple[str, ...] = ()
    broker: str = ""
    tables: str = ""  # the app whose migrations it needs
    lowest_django: tuple[int, int] = (5, 2)

    def missing(self) -> str:
        """Why it cannot run here; '' when it can."""
        for package in self.packages:
            if importlib.util.find_spec(package) is None:
                return f"{package} is not installed"
        if self.broker and not is_listening(self.broker):
            return f"nothing answers at {urlsplit(self.broker).hostname}:{urlsplit(self.broker).port}"
        return ""


ENGINES = {
    "db": Engine(
        "tests.workers.db_settings",
        ("django", "db_worker", "--interval", "0.1", "--no-startup-delay"),
        ("django_tasks_db",),
        tables="django_tasks_database",
    ),
    "rq": Engine(
        "tests.workers.rq_settings",
        ("django", "rqworker", "--job-class", "django_tasks_rq.Job", "default"),
        ("django_tasks_rq", "django_rq"),
        broker=REDIS,
    ),
    "celery": Engine(
        "tests.workers.celery_platform.settings",
        (
            *("celery", "-A", "tests.workers.celery_platform", "worker"),
            *("--concurrency", "1", "--hostname", "{name}@%h", "--loglevel", "INFO"),
        ),
        ("celery", "django_tasks_celery"),
        broker=RABBITMQ,
        lowest_django=(6, 0),
    ),
    "cron": Engine("tests.workers.cron_settings", ("django", "send_onboarding_links")),
}  # fmt: skip


def names_of_engines() -> list[str]:
    """Those that there are for this version of Django."""
    return [name for name, engine in ENGINES.items() if engine.lowest_django <= django.VERSION]


def is_listening(url: str) -> bool:
    parts = urlsplit(url)
    try:
        with socket.create_connection((parts.hostname, parts.port), timeout=2):
            return True
    except OSError:
        return False


@dataclass
class Platform:
    """A platform of many processes, on the databases of the test."""

    engine: Engine
    mollie_url: str
    directory: Path
    environment: dict[str, str] = field(default_factory=dict)
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        self.environment = {
            "DJANGO_SETTINGS_MODULE": self.engine.settings,
            "TEST_API_URL": self.mollie_url,
            "TEST_MAILS": str(self.mails),
            "TEST_BROKER_URL": self.engine.broker,
            "TEST_QUEUE": f"mollie_onboarding_test_{uuid.uuid4().hex}",
            **self.environment,
        }

    @property
    def mails(self) -> Path:
        return self.directory / "mails"

    @property
    def log(self) -> Path:
        return self.directory / "log"

    def run(self, *command: str, **options: Any) -> str:
        """What a process prints, when it is over. Its errors go to the log, and fail the test."""
        with self.log.open("a") as log:
            arguments = arguments_of(*command, **self.environment)
            process = subprocess.run(
                **arguments, stdout=subprocess.PIPE, stderr=log, check=False, timeout=60, **options
            )
        assert process.returncode == 0, self.said()
        return process.stdout

    def said(self) -> str:
        return self.log.read_text()[-20000:] if self.log.exists() else ""

    def start_worker(self) -> subprocess.Popen[bytes]:
        command = [part.format(name=f"worker{next(self.numbers)}") for part in self.engine.worker]
        with self.log.open("ab") as log:
            arguments = arguments_of(*command, **self.environment) | {"text": False}
            worker = subprocess.Popen(**arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.workers.append(worker)
        return worker

    def keep_at(self, number: int) -> None:
        """Start as many workers as are missing, as a supervisor does; those that are done are forgotten."""
        self.workers = [worker for worker in self.workers if worker.poll() is None]
        while len(self.workers) < number:
            self.start_worker()

    def kill(self, worker: subprocess.Popen[bytes]) -> set[int]:
        """SIGKILL to a worker and its children, as when the machine dies. Gives the ids of the processes."""
        pids = family(worker.pid)
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        worker.wait()
        self.workers.remove(worker)
        return pids

    def stop(self) -> None:
        """SIGTERM to the workers, as at a deployment: each finishes what it has in hand."""
        for worker in self.workers:
            worker.terminate()
        while self.workers:
            self.workers.pop().wait(timeout=60)

    def kill_all(self) -> None:
        for worker in list(self.workers):
            self.kill(worker)


def family(pid: int) -> set[int]:
    """The ids of a process and of all that it started."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return set()
    return {pid}.union(*(family(int(child)) for child in children))


@contextmanager
def run_platform(engine: Engine, mollie_url: str, directory: Path, **environment: str) -> Iterator[Platform]:
    """A platform with its tables and without workers; at the end its processes are killed and its broker is cleaned."""
    platform = Platform(engine, mollie_url, directory, environment)
    if engine.tables:
        platform.run("django", "migrate", engine.tables, "--verbosity", "0")
    forget_jobs(engine)
    try:
        yield platform
    finally:
        platform.kill_all()
        forget_jobs(engine)


def stored_tasks(engine: Engine) -> str:
    """All that the engine keeps of its tasks, done ones included, as text."""
    if engine.tables:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM {engine.tables}_dbtaskresult")
            return "\n".join(str(row) for row in cursor.fetchall())
    from redis import Redis

    with Redis.from_url(engine.broker) as redis:
        jobs = [redis.hgetall(key) for key in redis.scan_iter("rq:job:*", _type="hash")]
    return "\n".join(f"{name!r}: {_inflate(value)!r}" for job in jobs for name, value in job.items())


def _inflate(value: bytes) -> bytes:
    """rq keeps some values as they are, and compresses others."""
    try:
        return zlib.decompress(value)
    except zlib.error:
        return value


def forget_jobs(engine: Engine) -> None:
    """What rq has in Redis. RabbitMQ forgets the queue of a test by itself."""
    if engine.broker.startswith("redis:"):
        from redis import Redis

        with Redis.from_url(engine.broker) as redis:
            for key in redis.scan_iter("rq:*"):
                redis.delete(key)
