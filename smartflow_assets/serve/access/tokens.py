"""Tokens: who may ask the server, and as what. A file that only its owner may read, `data/serve/tokens.json`.

A token is shown once, when it is made; the file holds its hash. It is 256 random bits, so one round of SHA-256 is enough: there
is nothing to guess. A change of the file holds from the next request on.
"""

import hashlib
import hmac
import json
import os
import re
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from smartflow_assets.adapters.files.access import make_private_folder, private
from smartflow_assets.core.errors import SmartflowError

_PREFIX = "sf"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._@-]{0,63}")


class Role(StrEnum):
    """What a token may do; each may do what those before it may."""

    reader = "reader"
    operator = "operator"
    admin = "admin"

    def may(self, needed: "Role") -> bool:
        """Whether it may do what `needed` may."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True)
class Token:
    """A token as it is kept. `token_id` is its public part, under which it is listed and revoked."""

    token_id: str
    name: str
    role: Role
    digest: str
    created_at: datetime
    expires_at: datetime | None = None

    def is_expired(self, now: datetime) -> bool:
        """Whether it has run out."""
        return self.expires_at is not None and now >= self.expires_at


class TokenFileError(SmartflowError):
    """The file of tokens cannot be trusted or read, so nobody is let in."""


class TokenFile:
    """The tokens of a home. Safe to use from threads and processes: the file is replaced as a whole."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._seen: tuple[int, int, int] | None = None
        self._tokens: tuple[Token, ...] = ()
        self._was_there = False

    @property
    def is_there(self) -> bool:
        """Whether there is a file of tokens, or was since this process began: one that is lost opens nothing."""
        self._was_there = self._was_there or self.file.exists()
        return self._was_there

    def tokens(self) -> Sequence[Token]:
        """All of them, the oldest first. TokenFileError when the file cannot be read, or others may read it."""
        try:
            status = self.file.stat()
        except FileNotFoundError:
            self._seen, self._tokens = None, ()
            return ()
        self._was_there = True
        if not self.file.is_file():
            raise TokenFileError("it is no file", where=str(self.file), remedy="Put it aside; a new one is made with a token.")
        if status.st_mode & 0o077:
            raise TokenFileError(
                f"others may read the file of tokens (mode {status.st_mode & 0o777:o})",
                where=str(self.file),
                remedy=f"chmod 600 the file {self.file.name}, and revoke what others may have read.",
            )
        seen = (status.st_ino, status.st_mtime_ns, status.st_size)
        if seen != self._seen:
            self._tokens, self._seen = _read(self.file), seen
        return self._tokens

    def create(self, name: str, role: Role, now: datetime, expires_at: datetime | None = None) -> str:
        """Make a token; it is returned this once. SmartflowError for a name that is taken or none."""
        if not _NAME.fullmatch(name):
            raise SmartflowError(f"{name!r} cannot name a token", remedy="Use letters, digits, spaces and . _ @ -, at most 64 of them.")
        there = self.tokens()
        if any(each.name == name for each in there):
            raise SmartflowError(f"there is a token {name!r} already", remedy="Revoke it first, or give this one another name.")
        token_id, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
        text = f"{_PREFIX}_{token_id}_{secret}"
        self._write([*there, Token(token_id, name, role, _digest(text), now, expires_at)])
        return text

    def revoke(self, name_or_id: str) -> Token:
        """Take a token away -> what it was. SmartflowError where there is none."""
        there = self.tokens()
        found = next((each for each in there if name_or_id in (each.name, each.token_id)), None)
        if found is None:
            raise SmartflowError(f"there is no token {name_or_id!r}", remedy="`smartflow serve token list` names them.")
        self._write([each for each in there if each is not found])
        return found

    def found(self, text: str, now: datetime) -> Token | None:
        """The token that somebody shows; None where it is none of ours, was revoked or has run out."""
        parts = text.split("_", 2)
        if len(parts) != 3 or parts[0] != _PREFIX:
            return None
        shown = _digest(text)
        for each in self.tokens():
            if hmac.compare_digest(each.digest, shown):
                return None if each.is_expired(now) else each
        return None

    def _write(self, tokens: Sequence[Token]) -> None:
        make_private_folder(self.file.parent)
        part = self.file.with_name(f".{self.file.name}.{os.getpid()}.part")
        with private():
            part.write_text(json.dumps([_as_json(each) for each in tokens], indent=1) + "\n")
        part.replace(self.file)
        self._seen = None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _as_json(token: Token) -> dict[str, Any]:
    return asdict(token) | {
        "created_at": token.created_at.astimezone(UTC).isoformat(),
        "expires_at": token.expires_at and token.expires_at.astimezone(UTC).isoformat(),
    }


def _read(file: Path) -> tuple[Token, ...]:
    try:
        return tuple(
            replace(
                Token(**each),
                role=Role(each["role"]),
                created_at=datetime.fromisoformat(each["created_at"]),
                expires_at=datetime.fromisoformat(each["expires_at"]) if each["expires_at"] else None,
            )
            for each in json.loads(file.read_text())
        )
    except (ValueError, TypeError, KeyError, OSError) as error:
        raise TokenFileError(
            "the file of tokens cannot be read", where=str(file), remedy="Put its backup back, or remove it and make the tokens anew."
        ) from error
