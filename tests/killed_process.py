"""A process of the platform that is killed at a given place, with no chance to clean up.

python -m tests.killed_process <module> <attribute> <before|after> <callback|create|token|disconnect|revoke|feed|send>
    <argument> [<cookie>]
"""

from __future__ import annotations

import os
import signal
import sys
import uuid
from functools import reduce
from importlib import import_module
from typing import Any

import django


def main(module: str, attribute: str, moment: str, job: str, argument: str, cookie: str = "") -> None:
    django.setup()
    from mollie_onboarding import services
    from mollie_onboarding.models import ClientLink, Organization
    from mollie_onboarding.state import cookie_name
    from mollie_onboarding.testing import sandbox_mollie
    from tests.conftest import Browser

    owner = reduce(getattr, attribute.split(".")[:-1], import_module(module))
    name = attribute.rpartition(".")[2]
    original = getattr(owner, name)

    def killed(*args: Any, **kwargs: Any) -> None:
        if moment == "after":
            original(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, name, killed)
    with sandbox_mollie():
        if job == "callback":
            browser = Browser()
            browser.cookies[cookie_name()] = cookie
            browser.come_back(argument)
        elif job == "create":
            services.create_client_link(ClientLink.objects.get(pk=argument))
        elif job == "token":
            services.get_access_token(argument)
        elif job == "disconnect":
            services.disconnect(Organization.objects.get(organization_id=argument))
        elif job == "revoke":
            services.revoke_pending()
        elif job == "feed":
            services.feed_batch(uuid.UUID(argument))
        else:
            services.send_onboarding_link(ClientLink.objects.get(pk=argument).pk)


if __name__ == "__main__":
    main(*sys.argv[1:])
