"""Rows that a web server gives: JSON or CSV, in one answer or page after page, all of it or from a moment on."""

import codecs
import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from smartflow_assets.adapters.readers.base import DelimitedText
from smartflow_assets.adapters.readers.feed import FeedReader, Page
from smartflow_assets.adapters.readers.http_client import LARGEST_PAGE, Answer, HttpClient, PageNotFoundError, Server, opened
from smartflow_assets.adapters.readers.http_paging import MomentParameter, Paging, SinceParameter, value_at
from smartflow_assets.adapters.scans import Delimited, JsonRecords, Layout
from smartflow_assets.adapters.scans.plain_text import likely_delimiter
from smartflow_assets.adapters.staging.contract import ProbeContext, ReadContext
from smartflow_assets.adapters.web import has_no_secret_headers, has_no_secret_parameters, has_no_secret_query, is_web_address
from smartflow_assets.core.temporal.notation import Duration

MOST_PAGES = 100_000
_ANY = ("", "text/plain", "application/octet-stream", "binary/octet-stream", "application/gzip", "application/x-gzip")


def _as_texts(parameters: Any) -> Any:
    if not isinstance(parameters, dict):
        return parameters
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value) if isinstance(value, int | float) else value
        for name, value in parameters.items()
    }


class HttpReader(DelimitedText, FeedReader, frozen=True):
    """Read a web address. A secret is written ${NAME} and stays in the environment."""

    asking: ClassVar = frozenset({"url", "parameters", "headers", "format", "records", "since", "delimiter", "decimal", "encoding"})

    type: Literal["http"] = "http"
    url: Annotated[str, AfterValidator(is_web_address), AfterValidator(has_no_secret_query)] = Field(
        description="Address; ${NAME} for what is secret in it.", examples=["https://api.example.com/v1/orders"]
    )
    parameters: Annotated[dict[str, str], BeforeValidator(_as_texts), AfterValidator(has_no_secret_parameters)] = Field(
        default_factory=dict,
        description="Parameters of the address, such as the size of a page; secrets as ${NAME}.",
        examples=[{"limit": "500", "api_key": "${SHOP_KEY}"}],
    )
    headers: Annotated[dict[str, str], AfterValidator(has_no_secret_headers)] = Field(
        default_factory=dict,
        description="Headers; secrets as ${NAME}. They go to the host of the address only.",
        examples=[{"Authorization": "Bearer ${SHOP_TOKEN}"}],
    )
    format: Literal["json", "csv"] | None = Field(
        default=None, description="How the answer is written. Default: as it says itself. JSON may be a list or lines."
    )
    records: str | None = Field(
        default=None, min_length=1, description="Where in a JSON object the list of rows lies.", examples=["data.items"]
    )
    since: SinceParameter | None = Field(
        default=None, description="The parameter that asks for rows from a moment on. Default: each run asks for everything."
    )
    until: MomentParameter | None = Field(
        default=None, description="The parameter that ends what is asked for, where the server wants one: the clock of the run."
    )
    paging: Paging | None = Field(default=None, description="How to come to the next page. Default: there is one answer.")
    timeout: Duration = Field(default=timedelta(seconds=30), gt=timedelta(0), description="How long the server may be silent.")
    retries: int = Field(
        default=4, ge=0, le=20, description="How often a page is asked for again: after 429, 5xx, a timeout or a lost connection."
    )
    max_wait: Duration = Field(
        default=timedelta(minutes=5), ge=timedelta(0), description="The longest that a run waits for one page between attempts."
    )
    ca_file: Path | None = Field(default=None, description="Certificates to trust instead of the built-in ones, in PEM.")

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        taken = [part.parameter for part in (self.since, self.until, self.paging) if part is not None and part.parameter]
        if twice := next((name for name in [*taken, *self.parameters] if [*taken, *self.parameters].count(name) > 1), None):
            raise ValueError(f"the parameter {twice} is given twice")
        if self.paging is not None and self.paging.next is not None and self.format == "csv":
            raise ValueError("paging.next is looked for in JSON; a CSV answer has none")
        return self

    @property
    def feed(self) -> str:
        address = self.url.partition("?")[0].partition("#")[0]
        scheme, separator, rest = address.partition("://")
        return f"{scheme}{separator}{rest.rpartition('@')[2]}"

    @property
    def is_incremental(self) -> bool:
        return self.since is not None

    def asked_from(self, context: ReadContext) -> datetime | None:
        if self.since is None:
            return None
        return super().asked_from(context) or self.since.first(context.now or datetime.now(UTC), self._zone(context))

    def probe(self, context: ProbeContext) -> str | None:
        """By the rows since the last time, where the server can be asked for these; else by the ETag or the Last-Modified of its one
        answer."""
        patience = min(self.timeout, timedelta(seconds=context.patience))
        hasty = self.model_copy(update={"timeout": patience, "retries": 0})
        if self.is_incremental:
            return hasty.signature_of_pages(context)
        if self.paging is not None:  # the headers of one page say nothing of the others
            return None
        asking = ReadContext(context.source, context.data, context.data, now=context.now, timezone=context.timezone)
        with opened(hasty.server(asking)) as client:
            return client.validator(hasty.moments(asking))

    def server(self, context: ReadContext) -> Server:
        """How the server is asked."""
        return Server(
            context.source,
            self.feed,
            self.url,
            self.parameters,
            self.headers,
            self.timeout.total_seconds(),
            self.retries,
            self.max_wait.total_seconds(),
            context.data / self.ca_file if self.ca_file else None,
        )

    def pages(self, context: ReadContext) -> Iterator[Page]:
        server = self.server(context)
        context.staging.mkdir(parents=True, exist_ok=True)
        with opened(server) as client:
            yield from _Pager(self, server, client, context).pages()

    def moments(self, context: ReadContext) -> dict[str, str]:
        """The parameters that say from when to when."""
        asked = {}
        if self.since is not None and (since := self.asked_from(context)) is not None:
            asked[self.since.parameter] = self.since.written(since, self._zone(context))
        if self.until is not None:
            until = context.until or context.now or datetime.now(UTC)
            asked[self.until.parameter] = self.until.written(until, self._zone(context))
        return asked

    def _zone(self, context: ReadContext) -> str:
        return self.time.reading(context.timezone).zone


class _Pager:
    """Asks for page after page of one window."""

    def __init__(self, reader: HttpReader, server: Server, client: HttpClient, context: ReadContext) -> None:
        self.reader, self.server, self.client, self.context = reader, server, client, context
        self.target = context.staging / "answer"
        self.asked = reader.moments(context)

    def pages(self) -> Iterator[Page]:
        paging = self.reader.paging
        if paging is None:
            answer = self.client.get(self.asked, self.target)
            if (layout := self._layout(answer)) is not None:
                yield Page(answer.path, layout, self.server.where)
            return
        following: str | int | None = paging.begin if paging.by in ("page", "offset") else None
        url, last, seen = "", None, set[str | int]()
        for number in range(1, MOST_PAGES + 1):
            try:
                answer = self._ask(following, url)
            except PageNotFoundError:
                if number == 1 or paging.by != "page":
                    raise
                return  # beyond its last page a server may say that there is nothing
            layout = self._layout(answer)
            parsed, rows, count = self._look(answer, layout)
            if count:
                if rows == last:  # the rows alone: a server may repeat in its answer what it was asked
                    raise self.server.error(f"page {number} is the same as the one before it", "Correct read.paging.")
                yield Page(answer.path, layout or JsonRecords(), f"{self.server.where}, page {number}")
            following = self._following(answer, parsed, following, count)
            if following is None:
                return
            if following in seen:
                raise self.server.error(f"page {number} leads back to an earlier one", "Correct read.paging, or mend the server.")
            seen.add(following)
            url, last = answer.url, rows
        raise self.server.error(f"there are more than {MOST_PAGES:,} pages", "Ask for more rows in each, or correct read.paging.")

    def _ask(self, following: str | int | None, url: str) -> Answer:
        paging = self.reader.paging
        if following is None or paging is None:
            return self.client.get(self.asked, self.target)
        if paging.by == "link":
            return self.client.follow(str(following), url, self.target)
        return self.client.get(self.asked | {paging.parameter or "": str(following)}, self.target)

    def _following(self, answer: Answer, parsed: Any, now: str | int | None, count: int) -> str | int | None:
        """The number, cursor or address of the next page; None at the end."""
        paging = self.reader.paging
        if paging is None:
            return None
        if isinstance(now, int):
            return now + (1 if paging.by == "page" else count) if count else None
        if paging.next is None:
            return answer.next_link
        value = value_at(parsed, paging.next)
        if isinstance(value, dict | list):
            raise self.server.error(f"at read.paging.next: {paging.next} lies a list or an object", "Name the value in it.")
        return None if value in (None, "", False) else str(value)

    def _body(self, answer: Answer) -> bytes:
        if answer.path.stat().st_size > LARGEST_PAGE:
            raise self.server.error(f"a page is larger than {LARGEST_PAGE >> 20} MiB", "Ask for fewer rows in a page.")
        return answer.path.read_bytes()

    def _look(self, answer: Answer, layout: Layout | None) -> tuple[Any, Any, int]:
        """The parsed JSON, where it is one value, the rows, and how many there are."""
        if layout is None:
            return None, None, 0
        body = self._body(answer)
        if isinstance(layout, Delimited):
            text = body.decode(layout.encoding, "replace")
            sign = layout.delimiter or likely_delimiter(text.partition("\n")[0])
            return None, text, sum(1 for row in csv.reader(io.StringIO(text), delimiter=sign) if row) - 1
        try:
            parsed = json.loads(body)
        except ValueError as error:
            lines = [line for line in body.splitlines() if line.strip()]
            if self.reader.records is None and len(lines) > 1 and lines[0].strip().startswith(b"{") and lines[0].strip().endswith(b"}"):
                return None, lines, len(lines)
            raise self.server.error(f"the answer is not JSON, or was cut off: {error}", "Mend the server, or set read.format.") from None
        rows = parsed if self.reader.records is None else value_at(parsed, self.reader.records)
        return parsed, rows, len(rows) if isinstance(rows, list) else 1  # of what is no list staging says what is wrong with it

    def _layout(self, answer: Answer) -> Layout | None:
        """How the answer is laid out; None when it is empty. SourceError for what is neither JSON nor CSV."""
        with self.client.unpacked(answer.path).open("rb") as content:
            start = content.read(1000).removeprefix(b"\xef\xbb\xbf").lstrip()
        if not start:
            return None
        media, asked = answer.media_type, self.reader.format
        if media == "text/html" or start[:1] == b"<":
            raise self.server.error(
                f"the server answered with {'an HTML page' if b'html' in start.lower() else media or 'markup'}, not with JSON or CSV",
                "It may be a page to log in at: correct read.url or read.headers.",
            )
        said = "json" if "json" in media else "csv" if "csv" in media or "tab-separated" in media else None
        looks = "json" if start[:1] in b"[{" else "csv"
        if asked is None and said is None and media not in _ANY:
            raise self.server.error(f"the server answered with {media}, not with JSON or CSV", "Correct read.url, or set read.format.")
        if asked is not None and said not in (None, asked) and looks != asked:
            raise self.server.error(f"the server answered with {media}; read.format is {asked}", "Correct read.format or read.headers.")
        if (asked or said or looks) == "json":
            return JsonRecords(self.reader.records, self.reader.encoding)
        return Delimited(self.reader.delimiter, self.reader.decimal, self._encoding(answer.charset))

    def _encoding(self, charset: str | None) -> str:
        """The encoding that the YAML names, else that of the server's answer."""
        if charset is None or "encoding" in self.reader.model_fields_set:
            return self.reader.encoding
        try:
            return codecs.lookup(charset).name
        except LookupError:
            return self.reader.encoding
