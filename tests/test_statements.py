"""How many SQL statements the merchant's way takes; BEGIN, COMMIT and SAVEPOINT are not counted."""

from __future__ import annotations

import pytest

from tests.conftest import authorization_url

pytestmark = pytest.mark.django_db(databases=["default", "mollie_sandbox"], transaction=True)


def test_merchants_way_takes_few_statements(sandbox, browser, make_client_link, count):
    row = make_client_link()
    browser.press(row)
    path = row.merchant_path()

    _, get = count(lambda: browser.get(path))
    token = browser.cookies["csrftoken"].value
    response, post = count(lambda: browser.post(path, {"csrfmiddlewaretoken": token}))
    callback = sandbox.visit(authorization_url(response))
    _, completion = count(lambda: browser.come_back(callback))

    assert len(get) <= 3, get
    assert len(post) <= 6, post
    assert len(completion) <= 14, completion
