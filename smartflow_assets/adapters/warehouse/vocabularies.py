"""The words that columns of the warehouse may hold, where no module of core owns them.

One `Literal` each: whoever writes the column is typed with it, and `tables.py` describes the column by it, so that a table
cannot promise a word that nothing writes. Those of anomalies, incidents, alerts, repairs and scores are core's.
"""

from typing import Literal

RunStatus = Literal["success", "failed", "killed", "canceled"]
"""How a run ended: killed when its process died, canceled when somebody ended it."""

LookOutcome = Literal["nothing_new", "run"]
"""What a look at a source came to."""

WriteOperation = Literal["replace", "append", "rewrite", "load", "delete", "prune", "seen", "left"]
"""What a row of `writes` records."""

Evidence = Literal["labels", "feedback"]
"""What a measure of quality rests on."""

QuarantineState = Literal["held", "dropped"]
"""What became of a row that could not be read. One that can be read now, or is in its file no more, leaves the table."""

LoadState = Literal["blocked", "released", "dropped", "mended"]
"""What became of a load that broke a critical part of the contract."""

RowState = Literal["held", "released", "dropped", "mended"]
"""What became of a row that a contract diverts."""

FigureState = Literal["scored"]
"""How a figure of a profile stands."""

ColumnChange = Literal["added", "removed", "renamed", "retyped"]
"""What happened to a column of a source."""

ChangeState = Literal["seen", "accepted", "gone"]
"""How a change of a column stands."""

ModelStatus = Literal["candidate", "current", "retired"]
"""How a trained model stands."""

ModelChange = Literal["trained", "promoted", "rolled_back", "replaced"]
"""How a model got its status."""

RequestState = Literal["open", "answered"]
"""How a request for a training stands."""

PruningState = Literal["announced", "done", "withdrawn"]
"""Whether rows of a source are going to be pruned, were, or stay after all."""

AuditOutcome = Literal["done", "refused", "failed"]
"""What became of a request that changes something."""
