"""What the readers of delimited text files share: each file is an origin of its own, staged when its content is new."""
from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path

from smartflow_assets.adapters.readers.base import DelimitedText, ReadContext, Staged
from smartflow_assets.adapters.scans import Delimited
from smartflow_assets.adapters.staging import stage_file


class FileReader(DelimitedText, frozen=True):
    """Parent of the readers of files; a subclass says which files there are."""

    @abstractmethod
    def files(self, source: str, data: Path) -> list[Path]:
        """The files that hold the rows, sorted by name."""

    def batches(self, context: ReadContext) -> Iterator[Staged]:
        layout = Delimited(self.delimiter, self.decimal, self.encoding)
        for path in self.files(context.source, context.data):
            if (staged := stage_file(self, path, context, layout)) is not None:
                yield staged
