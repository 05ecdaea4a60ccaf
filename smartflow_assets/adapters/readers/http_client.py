"""One answer after another from an HTTP server, each streamed into a file: asked again when the server is busy, down or cut off.

Errors name the address as the YAML writes it, so that no secret is in them. Secrets stay with the host that they were meant for:
neither a redirect nor a link to the next page takes them elsewhere.
"""

import gzip
import hashlib
import os
import random
import ssl
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urljoin, urlsplit

from smartflow_assets.adapters.scans.plain_text import printable
from smartflow_assets.adapters.secret_references import redact, references, resolve, resolve_address
from smartflow_assets.adapters.web import host_of, retry_after, trust, without_request_log
from smartflow_assets.core.errors import SourceError

if TYPE_CHECKING:
    import httpx

FIRST_WAIT = 1.0  # seconds; doubled with each attempt
MOST_REDIRECTS = 5
LARGEST_PAGE = 256 << 20  # bytes of a page that must be searched for the next one, and of one that is unpacked from very little
MOST_UNPACKED = 100  # bytes from one: tables of numbers become five to twenty
GZIP = b"\x1f\x8b"
_BLOCK = 1 << 20
SLOWEST = 20  # a whole answer may take so many times the timeout
_BUSY = (408, 425, 429, 500, 502, 503, 504)
_REDIRECTS = (301, 302, 303, 307, 308)


@dataclass(frozen=True)
class Server:
    """How a server is asked: the templates of address, parameters and headers, and how patiently. `where` is for errors."""

    source: str
    where: str
    url: str
    parameters: Mapping[str, str]
    headers: Mapping[str, str]
    timeout: float
    retries: int
    max_wait: float
    ca_file: Path | None = None

    @property
    def secrets(self) -> list[str]:
        """The names of the variables that hold them."""
        return list(dict.fromkeys(references([self.url, dict(self.parameters), dict(self.headers)])))

    def error(self, what: str, remedy: str = "") -> SourceError:
        """What went wrong, without the value of any secret, however it is written."""
        what = redact(what, self.secrets, os.environ)
        return SourceError(printable(" ".join(what.split())), source=self.source, where=self.where, remedy=remedy)


@dataclass(frozen=True)
class Answer:
    """A body in a file, what it says to be, where it came from, and the address of the next page in its headers."""

    path: Path
    media_type: str
    charset: str | None
    url: str
    next_link: str | None


class PageNotFoundError(SourceError):
    """The server says that there is nothing at the address."""


class HttpClient:
    """Asks one server; see `opened`."""

    def __init__(self, server: Server, client: "httpx.Client") -> None:
        self.server, self._client = server, client
        self._url = resolve_address(server.url, os.environ)
        try:
            own = urlsplit(self._url)
        except ValueError:
            raise self._no_address() from None
        self._login = (unquote(own.username), unquote(own.password or "")) if own.username else None
        self._headers = {name: resolve(value, os.environ) for name, value in server.headers.items()}
        self._plain = {name: value for name, value in server.headers.items() if not any(references(value))}
        self._parameters = {name: resolve(value, os.environ) for name, value in server.parameters.items()}
        self._hidden = {name for name, value in server.parameters.items() if any(references(value))}

    def get(self, parameters: Mapping[str, str], target: Path) -> Answer:
        """The answer to the source's own parameters and these."""
        return self._get(self._merged(self._url, {**self._parameters, **parameters}), target)

    def validator(self, parameters: Mapping[str, str]) -> str | None:
        """What the server says of the answer without giving it: its ETag, its Last-Modified. None where it says neither, answers
        otherwise than with 200, or changed it so lately that a second change would look the same."""
        url = self._merged(self._url, {**self._parameters, **parameters})
        answer = self._headers_at(url)
        for _ in range(MOST_REDIRECTS):
            if answer.status_code in _REDIRECTS and "Location" in answer.headers:
                url = urljoin(url, answer.headers["Location"])
                answer = self._headers_at(url)
        told = [answer.headers.get(name, "") for name in ("ETag", "Last-Modified")]
        if answer.status_code != 200 or not any(told) or _is_of_this_moment(told[1], answer.headers.get("Date", "")):
            return None
        return hashlib.sha256("\0".join([*told, answer.headers.get("Content-Length", "")]).encode()).hexdigest()[:32]

    def _headers_at(self, url: str) -> "httpx.Response":
        headers, login = (self._headers, self._login) if self._is_home(url) else (self._plain, None)
        return self._client.request("HEAD", url, headers=headers, auth=login)

    def follow(self, link: str, page_url: str, target: Path) -> Answer:
        """The answer at a link of an earlier page. A secret parameter that the link leaves out is added, at the same host."""
        url = urljoin(page_url, link)
        given = {name for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True)}
        missing = {name: self._parameters[name] for name in self._hidden - given} if self._is_home(url) else {}
        return self._get(self._merged(url, missing), target)

    def _merged(self, url: str, parameters: Mapping[str, str]) -> str:
        import httpx

        try:
            return str(httpx.URL(url).copy_merge_params(parameters))
        except (httpx.InvalidURL, ValueError):
            raise self._no_address() from None

    def _no_address(self) -> SourceError:
        return self.server.error(
            "the address or a header is not valid", "Check read.url and read.headers, and the variables that they name."
        )

    def _get(self, url: str, target: Path) -> Answer:
        waited, attempt = 0.0, 0
        while True:
            try:
                return self._once(url, target)
            except _AgainError as again:
                attempt += 1
                wait = FIRST_WAIT * 2 ** (attempt - 1) * random.uniform(0.5, 1) if again.wait is None else again.wait
                if again.wait is not None and waited + wait > self.server.max_wait:
                    raise self.server.error(
                        f"{again.what} and asks us to wait {wait:.0f} s, longer than read.max_wait allows",
                        "Nothing is lost, the next run goes on. Ask less often, or raise read.max_wait.",
                    ) from None
                if attempt > self.server.retries or waited + wait > self.server.max_wait:
                    times = f"{attempt} times" if attempt > 1 else "once"
                    raise self.server.error(f"{again.what} (asked {times})", again.remedy or "The next run goes on from here.") from None
                time.sleep(wait)
                waited += wait

    def _once(self, url: str, target: Path) -> Answer:
        import httpx

        deadline = time.monotonic() + SLOWEST * self.server.timeout
        try:
            for _ in range(MOST_REDIRECTS + 1):
                headers, login = (self._headers, self._login) if self._is_home(url) else (self._plain, None)
                with self._client.stream("GET", url, headers=headers, auth=login) as answer:
                    if answer.status_code not in _REDIRECTS or "Location" not in answer.headers:
                        self._refuse(answer)
                        self._save(answer, target, deadline)
                        content_type = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
                        link = answer.links.get("next", {}).get("url")
                        return Answer(target, content_type, answer.charset_encoding, url, link)
                    url = urljoin(url, answer.headers["Location"])
            raise self.server.error(f"the server redirects more than {MOST_REDIRECTS} times", "Correct read.url.")
        except httpx.TimeoutException:
            raise _AgainError(f"the server did not answer within {self.server.timeout:g} s", "Raise read.timeout if it is slow.") from None
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError, UnicodeError):  # their texts hold values
            raise self._no_address() from None
        except httpx.DecodingError as error:
            raise self.server.error(f"the answer is damaged: {error}", "Tell whoever runs the server.") from None
        except httpx.TransportError as error:
            text = str(error) or type(error).__name__
            if "CERTIFICATE" in text.upper() or isinstance(error.__cause__, ssl.SSLCertVerificationError):
                raise self.server.error(
                    f"the certificate of {host_of(url)} is not trusted: {text}", "Set read.ca_file to the authority that signed it."
                ) from None
            if "SSL" in text.upper():
                raise self.server.error(f"no secure connection to {host_of(url)}: {text}", "Is it https that it speaks?") from None
            is_cut = isinstance(error, httpx.RemoteProtocolError | httpx.ReadError)
            raise _AgainError(
                f"the answer was cut off: {text}" if is_cut else f"the server cannot be reached: {text}",
                "" if is_cut else "Check read.url and the network; the next run goes on from here.",
            ) from None

    def _save(self, answer: "httpx.Response", target: Path, deadline: float) -> None:
        with target.open("wb") as content:
            for block in answer.iter_bytes():
                content.write(block)
                self._refuse_bomb(content.tell(), answer.num_bytes_downloaded)
                if time.monotonic() > deadline:
                    raise _AgainError(f"the answer was not complete after {SLOWEST * self.server.timeout:g} s", "Raise read.timeout.")

    def unpacked(self, path: Path) -> Path:
        """The body in a file, unpacked when it is gzipped, whatever its headers said of it."""
        with path.open("rb") as packed:
            if packed.read(2) != GZIP:
                return path
        size, target = path.stat().st_size, path.with_name(f"{path.name}.plain")
        try:
            with gzip.open(path) as content, target.open("wb") as plain:
                while block := content.read(_BLOCK):
                    plain.write(block)
                    self._refuse_bomb(plain.tell(), size)
        except (EOFError, zlib.error, gzip.BadGzipFile):
            raise self.server.error("the gzipped answer is damaged or was cut off", "The next run asks again.") from None
        target.replace(path)
        return path

    def _refuse_bomb(self, size: int, packed_size: int) -> None:
        """Raises for what has become so large from so little that no rows can be in it."""
        if size > LARGEST_PAGE and size > MOST_UNPACKED * packed_size:
            raise self.server.error(
                f"the answer grows from {packed_size:,} bytes to more than {size >> 20:,} MiB when it is unpacked",
                "Ask for fewer rows, or tell whoever runs the server; nothing of it was taken.",
            )

    def _refuse(self, answer: "httpx.Response") -> None:
        """Raises for every status that is no answer."""
        status, named = answer.status_code, ", ".join(f"${{{name}}}" for name in self.server.secrets)
        if 200 <= status < 300:
            return
        if status in _BUSY:
            wait = retry_after(answer.headers.get("Retry-After"), datetime.now(UTC))
            raise _AgainError(f"the server answered {status}", "", None if wait is None else wait.total_seconds())
        if status == 401:
            remedy = f"Check the value of {named}." if named else "Give a key in read.headers, as ${NAME}."
            raise self.server.error("the server does not know us (401)", remedy)
        if status == 403:
            raise self.server.error("the server does not let us read this (403)", "Ask for the right to, or correct read.url.")
        if status in (404, 410):
            raise PageNotFoundError(
                f"there is nothing at this address ({status})",
                source=self.server.source,
                where=self.server.where,
                remedy="Correct read.url.",
            )
        said = ""
        if status in (400, 422):  # what it does not like stands in the body
            said = f": {redact(answer.read().decode('utf-8', 'replace'), self.server.secrets, os.environ)[:300]}"  # cut after it
        raise self.server.error(f"the server answered {status}{said}", "Correct read.url or read.parameters.")

    def _is_home(self, url: str) -> bool:
        """Is it the host that the secrets are for? From http to https on it is no other."""
        try:
            own, other = urlsplit(self._url), urlsplit(url)
            ports = {"http": 80, "https": 443}
            is_same = (own.port or ports.get(own.scheme)) == (other.port or ports.get(other.scheme)) and own.scheme == other.scheme
            is_safer = (own.scheme, other.scheme) == ("http", "https") and own.port is None and other.port is None
            return own.hostname == other.hostname and (is_same or is_safer)
        except ValueError:
            return False


def _is_of_this_moment(modified: str, date: str) -> bool:
    """Whether a content may have changed in the second in which the server said so, or in the one before: times are kept to the second."""
    if not modified:
        return False
    try:
        said, changed = (parsedate_to_datetime(text).replace(tzinfo=UTC) for text in (date, modified))  # both are in GMT
    except ValueError:
        return True
    return said - changed < timedelta(seconds=2)


class _AgainError(Exception):
    """Worth another attempt, after `wait` seconds when the server says so."""

    def __init__(self, what: str, remedy: str = "", wait: float | None = None) -> None:
        self.what, self.remedy, self.wait = what, remedy, wait
        super().__init__(what)


@contextmanager
def opened(server: Server) -> Iterator[HttpClient]:
    """A client with its connections; SourceError when a variable that the source names is not set."""
    import httpx  # 0.2 s to import, and only a process that asks pays for it

    if unset := [name for name in server.secrets if not os.environ.get(name)]:
        raise server.error(
            f"{' and '.join(unset)} {'is' if len(unset) == 1 else 'are'} not set in the environment",
            "Set it where SmartFlow runs, then start that process again.",
        )
    try:
        trusted = trust(server.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise server.error(f"read.ca_file cannot be used: {error}", "Give a file of certificates in PEM.") from None
    with without_request_log(), httpx.Client(timeout=server.timeout, verify=trusted) as client:
        yield HttpClient(server, client)
