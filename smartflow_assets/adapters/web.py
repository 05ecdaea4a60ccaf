"""What readers and channels share of HTTP: which texts are addresses, which headers are secrets, how long a server asks to wait.

Sending is their own: a reader may ask again, a channel must not.
"""

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from smartflow_assets.adapters.secret_references import REFERENCE

_SECRET_HEADER = re.compile("auth|token|key|secret|cookie|password|credential", re.IGNORECASE)
_SECRET_PARAMETER = re.compile("token|secret|passw|credential|signature|api[-_]?key|[-_]key$|^auth|^key$|^sig$", re.IGNORECASE)


def is_web_address(text: str) -> str:
    """The text, when it is an address or a reference to one; ValueError otherwise, and for a password written out."""
    if REFERENCE.match(text) and "@" not in text:  # the whole address is the secret, as with Slack and Zapier
        return text
    parts = urlsplit(text)
    if not REFERENCE.match(text) and (parts.scheme not in ("http", "https") or not parts.netloc):
        raise ValueError("this is not a web address; write https://… or ${NAME}")
    login = text.partition("://")[2].partition("/")[0].rpartition("@")[0]
    secret = login.partition(":")[2] or login.partition(":")[0]  # a key may stand alone, in the place of the user
    if secret and not REFERENCE.fullmatch(secret):
        raise ValueError("a secret is never written in a file; write the password or key in the address as ${NAME}")
    return text


def has_no_secret_headers(headers: dict[str, str]) -> dict[str, str]:
    """The headers, when those that sound like secrets are references; ValueError otherwise."""
    return _has_no_secrets(headers, _SECRET_HEADER, "header")


def has_no_secret_parameters(parameters: dict[str, str]) -> dict[str, str]:
    """The parameters of an address, when those that sound like secrets are references; ValueError otherwise."""
    return _has_no_secrets(parameters, _SECRET_PARAMETER, "parameter")


def _has_no_secrets(named: Mapping[str, str], names: re.Pattern[str], kind: str) -> dict[str, str]:
    for name, value in named.items():
        if names.search(name) and not REFERENCE.search(value):
            raise ValueError(f"{kind} {name}: a secret is never written in a file; write ${{NAME}}")
    return dict(named)


def host_of(url: str) -> str:
    """The host of an address, all of it that may be shown; empty when there is none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def retry_after(value: str | None, now: datetime) -> timedelta | None:
    """The header as a length of time, from seconds or from a date; None when there is none or it cannot be read.

    >>> retry_after("120", datetime(2026, 3, 1)), retry_after("soon", datetime(2026, 3, 1))
    (datetime.timedelta(seconds=120), None)
    """
    if value is None:
        return None
    try:
        wait = timedelta(seconds=int(value)) if value.strip().isdigit() else parsedate_to_datetime(value) - now
    except (ValueError, TypeError, OverflowError):
        return None
    return max(wait, timedelta(0))


@contextmanager
def without_request_log() -> Iterator[None]:
    """httpx logs every address at INFO, and an address may hold a secret."""
    log, silence = logging.getLogger("httpx"), lambda record: False
    log.addFilter(silence)
    try:
        yield
    finally:
        log.removeFilter(silence)
