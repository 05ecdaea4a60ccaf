"""Secrets are named in files and live in the environment: `${OPS_PASSWORD}`.

A channel or a reader holds the reference and resolves it in the moment of use, so that no file, log, table, error or repr
ever holds the value. What may be a reference, and what must be one, is said by the two types below.
"""

import base64
import json
import re
import traceback
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated
from urllib.parse import quote, quote_plus, unquote, urlsplit

from pydantic import AfterValidator, WithJsonSchema

from smartflow_assets.core.errors import DeliveryError, SmartflowError

REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def _must_be_reference(text: str) -> str:
    if REFERENCE.fullmatch(text) is None:
        raise ValueError("a secret is never written in a file; write ${NAME} and set NAME in the environment")
    return text


Secret = Annotated[
    str,
    AfterValidator(_must_be_reference),
    WithJsonSchema({"type": "string", "pattern": r"^\$\{[A-Za-z_][A-Za-z0-9_]*\}$", "examples": ["${OPS_PASSWORD}"]}),
]


def references(value: object) -> Iterator[str]:
    """The names of all references in a text, or anywhere in a mapping or a sequence."""
    if isinstance(value, str):
        yield from REFERENCE.findall(value)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from references(key)
            yield from references(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from references(item)


def resolve(text: str, environment: Mapping[str, str]) -> str:
    """The text with each reference replaced; DeliveryError naming the variable when it is unset or empty."""

    def value_of(match: re.Match[str]) -> str:
        if not environment.get(match[1]):
            raise unset([match[1]])
        return environment[match[1]]

    return REFERENCE.sub(value_of, text)


class Unresolved(dict[str, str]):
    """An environment in which each variable is its own reference: for showing what would be sent.

    >>> resolve("Bearer ${TOKEN}", Unresolved())
    'Bearer ${TOKEN}'
    """

    def __missing__(self, name: str) -> str:
        return f"${{{name}}}"

    def get(self, name: str, default: object = None) -> str:  # pyright: ignore[reportIncompatibleMethodOverride]
        return self[name]


def resolve_address(text: str, environment: Mapping[str, str]) -> str:
    """An address with each reference replaced; a name and a password before the host may hold any sign."""
    if (found := re.fullmatch(r"([^:]+://)([^/?#]*)@(.*)", text)) is None:
        return resolve(text, environment)
    login = ":".join(quote(resolve(part, environment), safe="") for part in found[2].split(":", 1))
    return f"{found[1]}{login}@{resolve(found[3], environment)}"


def unset(names: list[str]) -> DeliveryError:
    """The error of a channel whose secrets are not there: retryable, since somebody will set them."""
    what = f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} not set in the environment"
    return DeliveryError(what, is_channel_down=True, remedy="Set it where SmartFlow runs, then start that process again.")


_SOUNDS_SECRET = re.compile("token|secret|passw|_pwd$|credential|api_?key|_key$|^key$|_auth$|_dsn$", re.IGNORECASE)
_SHORTEST = 4  # letters: what is shorter stands in every text, and only as it is written is it taken for the secret
_named = set[str]()
_LOGIN = re.compile(r"(?<=://)[^/@\s]+@")


def redact(text: str, names: Iterable[str], environment: Mapping[str, str]) -> str:
    """The text with the value of each named variable replaced by its reference, however it is written there: as it is, as a part of
    an address, of JSON or of a Python text, in base64. Nothing that was redacted may stay beside the error as its cause.

    >>> redact("401 for ?key=a%2Fb%20c", ["KEY"], {"KEY": "a/b c"})
    '401 for ?key=${KEY}'
    """
    written = {form: f"${{{name}}}" for name in names for form in _forms(environment.get(name, ""))}
    for form in sorted(written, key=len, reverse=True):  # an address before the password within
        text = text.replace(form, written[form])
    return text


def without_parts(text: str, address: str) -> str:
    """The text without anything of an address, or of its path, that may be a key: what receivers answer may quote a part of it.

    >>> without_parts("no hook s3cr3t42 in T01", "/services/T01/s3cr3t42")
    'no hook *** in T01'
    """
    parts = {part for part in re.split(r"[/:@?&=,]+", address) if len(part) > _SHORTEST}
    for part in sorted({*parts, *map(unquote, parts)}, key=len, reverse=True):
        text = text.replace(part, "***")
    return text


def keep_secret(names: Iterable[str]) -> None:
    """Has `redact_all` know these variables from here on: a file of this home names them."""
    _named.update(names)


def redact_all(text: str, environment: Mapping[str, str]) -> str:
    """The text of code that is not ours, which names no variables: without the login of any address, and without the value of any
    variable whose name sounds like a secret or stands in a file that this process has read.

    >>> redact_all("no login at ftp://me:pw@host with hunter2", {"FTP_PASSWORD": "hunter2", "HOME": "host"})
    'no login at ftp://***@host with ${FTP_PASSWORD}'
    """
    names = [name for name, value in environment.items() if (name in _named or _SOUNDS_SECRET.search(name)) and len(value) >= _SHORTEST]
    return _LOGIN.sub("***@", redact(text, names, environment))


def told_safely(error: BaseException, source: str, environment: Mapping[str, str]) -> Exception:
    """The error as it may stand in a history beside all its causes: itself where it is an ordinary one and neither its text nor that
    of any cause or part holds a secret, else one without causes whose text was redacted. Raise it `from None`.
    """
    written = "".join(traceback.format_exception(error))
    if isinstance(error, Exception) and redact_all(written, environment) == written:
        return error
    if isinstance(error, SmartflowError):
        error.what, error.where, error.remedy = (redact_all(text, environment) for text in (error.what, error.where, error.remedy))
        error.args = (error.what, error.source, error.where, error.remedy)
        if hasattr(error, "__notes__"):
            del error.__notes__
        error.__cause__ = None
        return error
    text = redact_all(" ".join(text_of(error).split()), environment)
    return SmartflowError(f"{type(error).__name__}: {text}" if text else type(error).__name__, source=source)


def text_of(error: BaseException) -> str:
    """What an error says; nothing where an error of a stranger fails even at that."""
    try:
        return str(error)
    except Exception:
        return ""


def _forms(value: str) -> Iterator[str]:
    """The ways in which a secret may be written in a text."""
    if not value:
        return
    yield value
    password = ""
    if "://" in value and "@" in value:  # a whole address: its password is the secret in it
        try:
            password = urlsplit(value).password or ""
        except ValueError:
            password = value.partition("://")[2].rpartition("@")[0].partition(":")[2]
    for secret in {value, password, unquote(password)}:
        if len(secret) >= _SHORTEST:
            yield secret
            yield from (quote(secret), quote(secret, safe=""), quote_plus(secret))
            yield from (json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], repr(secret)[1:-1])
            yield base64.b64encode(secret.encode()).decode()
