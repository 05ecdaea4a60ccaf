"""What readers and channels share of HTTP: which texts are addresses, which headers are secrets, how long a server asks to wait.

Sending is their own: a reader may ask again, a channel must not.
"""

import logging
import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from smartflow_assets.adapters.secret_references import REFERENCE

LONGEST_WAIT = timedelta(days=1)
"""So long at most is waited, whatever a server asks for."""
_SECRET_HEADER = re.compile("auth|token|key|secret|cookie|password|credential", re.IGNORECASE)
_SECRET_PARAMETER = re.compile("token|secret|passw|credential|signature|api[-_]?key|[-_]key$|^auth|^key$|^sig$", re.IGNORECASE)

_SECRET_FIELD = re.compile(  # not each key: the project of an issue is one, and the sort_key
    "token|secret|passw|passphrase|credential|(api|access|routing|integration|private|auth|signing)[-_]?key|^auth$|authorization|^pwd$",
    re.IGNORECASE,
)
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_HOOKS = (  # whose addresses are keys
    "hooks.slack.com",
    "discord.com",
    "discordapp.com",
    "webhook.office.com",
    "outlook.office.com",
    "logic.azure.com",
    "api.powerplatform.com",
    "hooks.zapier.com",
    "hook.make.com",
    "chat.googleapis.com",
    "maker.ifttt.com",
)


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


def has_no_secret_query(url: str) -> str:
    """The address, when what sounds like a secret behind its ? is a reference; ValueError otherwise."""
    has_no_secret_parameters(dict(parse_qsl(urlsplit(url).query)))
    return url


def has_no_secret_fields(body: dict[str, Any]) -> dict[str, Any]:
    """What is to be posted, when fields that sound like secrets are references, or fields of the message; ValueError otherwise."""
    for name, value in _fields(body):
        if _SECRET_FIELD.search(name) and str(value) and "{" not in str(value):
            raise ValueError(f"field {name}: a secret is never written in a file; write ${{NAME}}")
    return body


def _fields(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Each text and number, with the key that it stands under."""
    if isinstance(value, Mapping):
        for key, below in value.items():
            yield from _fields(below, str(key))
    elif isinstance(value, list | tuple):
        for below in value:
            yield from _fields(below, name)
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        yield name, value


def is_no_plain_hook(url: str) -> str:
    """The address, unless it is one of a vendor that takes messages from whoever knows it, written out; ValueError then."""
    host, path = host_of(url), urlsplit(url).path
    if not REFERENCE.search(url) and path.strip("/") and any(host == known or host.endswith(f".{known}") for known in _HOOKS):
        raise ValueError(f"a secret is never written in a file, and whoever knows an address of {host} may post there; write ${{NAME}}")
    return url


def _has_no_secrets(named: Mapping[str, str], names: re.Pattern[str], kind: str) -> dict[str, str]:
    for name, value in named.items():
        if kind == "header" and (not _HEADER_NAME.fullmatch(name) or _CONTROL.search(value)):
            raise ValueError(f"header {name!r}: letters, digits and - make its name, and its value is one line")
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
    """The header as a length of time, from seconds or from a date, LONGEST_WAIT at most; None when there is none or it cannot
    be read.

    >>> retry_after("120", datetime(2026, 3, 1)), retry_after("soon", datetime(2026, 3, 1))
    (datetime.timedelta(seconds=120), None)
    >>> retry_after("99999999999999999999", datetime(2026, 3, 1))
    datetime.timedelta(days=1)
    """
    if value is None:
        return None
    try:
        if (seconds := value.strip()).isdecimal():
            return timedelta(seconds=min(float(seconds), LONGEST_WAIT.total_seconds()))
        wait = parsedate_to_datetime(value) - now
    except (ValueError, TypeError, OverflowError):
        return None
    return max(min(wait, LONGEST_WAIT), timedelta(0))


def trust(ca_file: Path | None) -> ssl.SSLContext:
    """The certificates of a file, or without one those that httpx trusts. OSError or SSLError for a file that holds none."""
    return ssl.create_default_context(cafile=ca_file) if ca_file else _default_trust()


@cache
def _default_trust() -> ssl.SSLContext:
    """Read once in a process: httpx would do so for each client, in 16 ms (measured)."""
    import httpx

    return httpx.create_ssl_context()


@contextmanager
def without_request_log() -> Iterator[None]:
    """httpx logs every address at INFO, and an address may hold a secret."""
    log, silence = logging.getLogger("httpx"), lambda record: False
    log.addFilter(silence)
    try:
        yield
    finally:
        log.removeFilter(silence)
