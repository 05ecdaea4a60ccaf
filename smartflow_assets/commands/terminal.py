"""What a command says, and where: results on stdout, talk on stderr, colour only on a terminal.

Results can be piped into a file or another program; talk (progress, notes, errors) never gets in between. NO_COLOR is
respected (rich does it). What is said is the business of the commands.
"""

import io
import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, TextIO

from smartflow_assets.core.errors import SmartflowError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

SEVERITY_STYLES = {"critical": "bold red", "warning": "yellow", "info": "cyan"}
ENOUGH_COLUMNS = 10_000  # what is not a terminal has no width: a table in a file is not cut
VERBOSE: ContextVar[bool] = ContextVar("verbose", default=False)
_QUIET: ContextVar[tuple[TextIO, TextIO] | None] = ContextVar("quiet", default=None)  # the real streams, while others write to nowhere
_BAR: ContextVar["Progress | None"] = ContextVar("bar", default=None)  # the progress bar on the terminal


class UsageError(SmartflowError):
    """The command line asks for something that there is not; exit code 2."""


def is_verbose() -> bool:
    """Was the command given -v?"""
    return VERBOSE.get()


def stdout() -> TextIO:
    """Where results go."""
    return (_QUIET.get() or (sys.stdout, sys.stderr))[0]


def stderr() -> TextIO:
    """Where talk goes."""
    return (_QUIET.get() or (sys.stdout, sys.stderr))[1]


def result(text: str, style: str = "") -> None:
    """One line of the result, on stdout, as it is: brackets are text, not markup."""
    _line(stdout(), text, style)


def say(text: str, style: str = "") -> None:
    """One line of talk, on stderr."""
    _line(stderr(), text, style)


def note(text: str) -> None:
    """`note: …` on stderr: something that the user should know and that stops nothing."""
    _kind("note", text, "yellow")


class Notes(logging.Handler):
    """Warnings of ours as notes: also those that come while others write to nowhere."""

    def emit(self, record: logging.LogRecord) -> None:
        note(record.getMessage())


def error(text: str) -> None:
    """`error: …` on stderr, in one line."""
    _kind("error", text, "bold red")


def count(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun.

    >>> count(1, "row"), count(2000, "row"), count(2, "anomaly", "anomalies")
    ('1 row', '2,000 rows', '2 anomalies')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    right: Sequence[str] = (),
    styles: Mapping[str, str] | None = None,
) -> None:
    """A table on stdout. `right` names the columns of numbers; `styles` gives a cell's text a colour."""
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in columns:
        shown.add_column(Text(harmless(name, is_line=True)), justify="right" if name in right else "left", overflow="fold")
    for row in rows:
        cells = ["" if value is None else harmless(str(value), is_line=True) for value in row]
        shown.add_row(*(Text(cell, style=(styles or {}).get(cell, "")) for cell in cells))
    stream = stdout()
    console = _console(stream)
    with console.capture() as capture:
        console.print(shown)
    stream.write("".join(f"{line.rstrip()}\n" for line in capture.get().splitlines()))
    stream.flush()


@contextmanager
def progress(total: float | None, what: str) -> Iterator[Callable[..., None]]:
    """A progress bar on stderr, when that is a terminal. Yields `advance(steps, what_now)`."""
    stream = stderr()
    if not stream.isatty():
        yield lambda steps, what_now="": None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TimeRemainingColumn())
    with Progress(*columns, console=_console(stream), transient=True, redirect_stdout=False, redirect_stderr=False) as bar:
        task = bar.add_task(what, total=total)
        shown = _BAR.set(bar)
        try:
            yield lambda steps, what_now="": bar.update(task, advance=steps, description=what_now or what)
        finally:
            _BAR.reset(shown)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what libraries and their child processes write out of the terminal; with -v they may write.

    Below Python's streams, since loggers keep the stream that they found and children inherit the descriptor. What this
    program says meanwhile through `result`, `say`, `table` and `progress` still arrives.
    """
    if is_verbose():
        yield
        return
    with ExitStack() as stack:
        nowhere = stack.enter_context(open(os.devnull, "w"))  # noqa: PTH123 (a device, not a path)
        real = []
        for name, descriptor in (("stdout", 1), ("stderr", 2)):
            stream: TextIO = getattr(sys, name)
            stream.flush()
            if _descriptor(stream) == descriptor:
                stack.callback(stream.flush)
                real.append(stack.enter_context(os.fdopen(os.dup(descriptor), "w", buffering=1, encoding=stream.encoding)))
            else:  # a test or a notebook has put its own stream there
                stack.callback(setattr, sys, name, stream)
                setattr(sys, name, nowhere)
                real.append(stream)
        for descriptor in (1, 2):
            kept = os.dup(descriptor)
            stack.callback(os.close, kept)
            stack.callback(os.dup2, kept, descriptor)
            os.dup2(nowhere.fileno(), descriptor)
        for stream in (sys.stdout, sys.stderr):
            stack.callback(stream.flush)  # what is still in a buffer goes to nowhere, before the descriptors come back
        stack.callback(_QUIET.reset, _QUIET.set((real[0], real[1])))
        yield


def _descriptor(stream: TextIO) -> int | None:
    try:
        return stream.fileno()
    except (OSError, ValueError):
        return None


def _console(stream: TextIO) -> "Console":
    from rich.console import Console

    is_terminal = stream.isatty()
    return Console(file=stream, width=None if is_terminal else ENOUGH_COLUMNS, force_terminal=is_terminal, highlight=False)


def harmless(text: str, *, is_line: bool = False) -> str:
    """The text with its control characters written out, since a terminal obeys them and data may hold any; line ends and tabs stay
    unless it is one line.

    >>> print(harmless("north" + chr(27) + "]0;owned" + chr(7)))
    north\\x1b]0;owned\\x07
    """
    kept = "" if is_line else "\n\t"
    return "".join(
        sign if sign.isprintable() or sign in kept else sign.encode("unicode_escape", "backslashreplace").decode() for sign in text
    )


class Harmless(io.TextIOBase):
    """A stream before another: a file keeps every sign of the rows that are written to it, a terminal must not."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str, /) -> int:
        return self.stream.write(harmless(text) if self.stream.isatty() else text)


def _line(stream: TextIO, text: str, style: str) -> None:
    text = harmless(text)
    bar = _BAR.get() if stream.isatty() else None
    if bar:
        bar.stop()  # a transient bar leaves no trace; it goes on below the line
    if style and stream.isatty():
        _console(stream).print(text, style=style, markup=False, soft_wrap=True)
    else:
        stream.write(f"{text}\n")
        stream.flush()
    if bar:
        bar.start()


def _kind(kind: str, text: str, style: str) -> None:
    from rich.text import Text

    _console(stderr()).print(Text.assemble((f"{kind}:", style), f" {harmless(' '.join(text.split()))}"), soft_wrap=True)
