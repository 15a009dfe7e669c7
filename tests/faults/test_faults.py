"""Every flow through every crash and every fault. What there is to see on the way is the README's table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection

from .flows import FLOWS
from .matrix import FlowMatrix, Matrix, running_matrix
from .table import BEGIN, END, README, make_rows, read_rows
from .table import FLOWS as TITLES

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"], transaction=True)

# On MariaDB the flow that everything depends on; the others have no statement that is its own there.
TESTED = ["return"] if connection.vendor == "mysql" else list(FLOWS)


@pytest.fixture
def matrix(tmp_path: Path) -> Iterator[Matrix]:
    with running_matrix(tmp_path) as matrix:
        yield matrix


@pytest.mark.parametrize("name", TESTED)
def test_flow_survives_every_crash_and_every_fault_as_the_readme_says(matrix, name):
    runs = FlowMatrix(matrix, FLOWS[name])
    rows = make_rows(name, runs.steps, runs.kill(), runs.strike())
    written = read_rows()
    first = next(index for index, row in enumerate(written) if TITLES[name] in row)
    assert list(map(comparable, written[first : first + len(rows)])) == list(map(comparable, rows))


def comparable(row: str) -> str:
    """The row; elsewhere than on SQLite without how many commits there are, for some locks need one of their own."""
    return row if connection.vendor == "sqlite" else re.sub(r"commits? \d+|\d+ commits?", "commit", row)


def test_readme_has_every_flow_and_no_other():
    text = README.read_text()
    assert text.count(BEGIN) == text.count(END) == 1
    titles = [row.split(" | ")[0] for row in read_rows() if not row.startswith("|  |")]
    assert [title.partition(" (")[0] for title in titles] == [f"| {title}" for title in TITLES.values()]
    assert list(TITLES) == list(FLOWS)
