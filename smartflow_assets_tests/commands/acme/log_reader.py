"""Reads log lines such as `2026-03-01T00:00:00Z room=kitchen celsius=21.5`."""

import hashlib
import json
from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from smartflow_assets.api import BaseReader, ReadContext, SourceError, Staged, stage_rows


class AcmeLog(BaseReader, frozen=True):
    """Read one log of Acme's thermometers."""

    type: Literal["acme_log"] = "acme_log"
    log: str = Field(description="The log, relative to the data folder.")
    unit: Literal["celsius", "kelvin"] = Field(default="celsius", description="What the temperature is given in.")

    def batches(self, context: ReadContext) -> Iterator[Staged]:
        path = context.data / self.log
        if not path.is_file():
            raise SourceError("read.log: there is no such file", source=context.source, where=str(path), remedy="Correct read.log.")
        content = path.read_bytes()
        context.staging.mkdir(parents=True, exist_ok=True)
        rows = context.staging / "rows.jsonl"
        with rows.open("w") as lines:
            for line in content.decode().splitlines():
                time, *pairs = line.split()
                row = dict(pair.split("=") for pair in pairs)
                row["celsius"] = str(float(row["celsius"]) - (273 if self.unit == "kelvin" else 0))
                lines.write(json.dumps({self.time.column: time, **row}) + "\n")
        digest = hashlib.sha256(content + self.unit.encode()).hexdigest()
        if (staged := stage_rows(self, [rows], context, origin=self.log, content_hash=digest, where=str(path))) is not None:
            yield staged
