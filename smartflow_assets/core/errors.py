"""What can go wrong, by name.

Every error that a user may see says which source, which field, what was found and what to do about it, so that the CLI,
the Dagster run page and an incident can show one line instead of a traceback. Whoever catches one re-raises it, counts it
or alerts on it.
"""

from datetime import timedelta


class SmartflowError(Exception):
    """`<source>: <what is wrong> (<where>). <remedy>`; `where` is a file and line, an address or a field."""

    def __init__(self, what: str, *, source: str = "", where: str = "", remedy: str = "") -> None:
        self.what, self.source, self.where, self.remedy = what, source, where, remedy
        super().__init__(what, source, where, remedy)

    def __str__(self) -> str:
        text = f"{self.source}: {self.what}" if self.source else self.what
        if self.where:
            text += f" ({self.where})"
        text += "" if text.endswith((".", "!", "?")) else "."
        return f"{text} {self.remedy}" if self.remedy else text


def is_interrupt(error: BaseException) -> bool:
    """Ctrl-C or a termination from Dagster's UI: the run is to end, so whoever catches what a stranger's code raises lets this pass.

    Dagster's own is known by its name, since only defs may import Dagster.
    """
    return isinstance(error, KeyboardInterrupt) or type(error).__name__ == "DagsterExecutionInterruptedError" or is_query_interrupt(error)


def is_query_interrupt(error: BaseException) -> bool:
    """What DuckDB makes of a signal during a query: whatever our handler raised is lost."""
    return type(error) is RuntimeError and str(error) == "Query interrupted"


class SourceError(SmartflowError):
    """A source cannot be read, or its YAML file is wrong."""


class NotThereError(SourceError):
    """What was asked for by its name does not exist."""


class WarehouseBusyError(SmartflowError):
    """Somebody else holds the warehouse or a source, longer than we may wait."""


class WarehouseError(SmartflowError):
    """The warehouse file or a write to it is not what the schema says."""


class ModelError(SmartflowError):
    """A stored model cannot be trusted or used."""


class DecisionError(SmartflowError):
    """A person asks of an incident what cannot be."""


class DeliveryError(SmartflowError):
    """A message did not reach its channel.

    `is_final` says that another attempt cannot help; `is_channel_down` that the channel as a whole is out of reach, so that
    other messages need not try it now; `retry_after` is how long the receiver asks us to wait; `is_partly_taken` that some of its
    receivers have it, which another attempt would reach twice.
    """

    def __init__(
        self,
        what: str,
        *,
        is_final: bool = False,
        is_channel_down: bool = False,
        is_partly_taken: bool = False,
        retry_after: timedelta | None = None,
        source: str = "",
        where: str = "",
        remedy: str = "",
    ) -> None:
        super().__init__(what, source=source, where=where, remedy=remedy)
        self.is_final, self.is_channel_down, self.retry_after = is_final, is_channel_down, retry_after
        self.is_partly_taken = is_partly_taken
