"""The merchant's pages: sign-up, the merchant page behind the mailed link, the callback, and the way back from a dead end."""

from __future__ import annotations

from .callback import callback, recover
from .client_link import client_link
from .signup import signup
from .theme import theme

__all__ = ["callback", "client_link", "recover", "signup", "theme"]
