"""When two e-mail addresses are one recipient."""

from __future__ import annotations

import re
import unicodedata


def spell(address: str) -> str:
    """The one spelling for every spelling of an address.

    Capitals, composed and decomposed letters, wide ones, the two forms of an international domain, and quotes and
    backslashes, which mail servers take off, are spellings.
    Addresses that differ in nothing else are one mailbox everywhere but in theory.
    """
    local, _, domain = unicodedata.normalize("NFKC", address.strip()).casefold().rpartition("@")
    if len(local) > 1 and local[0] == local[-1] == '"':
        local = re.sub(r"\\(.)", r"\1", local[1:-1], flags=re.DOTALL)  # RFC 5321, 4.1.2
    try:
        domain = domain.encode("idna").decode("ascii").lower()
    except UnicodeError:
        pass  # no domain name; its own text is as good
    return unicodedata.normalize("NFKC", f"{local}@{domain}")
