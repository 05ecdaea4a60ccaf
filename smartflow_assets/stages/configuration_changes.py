"""A change of a source's YAML, written down: alone, as a whole, and not over what somebody else has written meanwhile.

What a change is and what may be changed is in `config.configuration_edit`; that it was made stands in the audit (`stages.audit`).
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from smartflow_assets.adapters.warehouse.locks import AdvisoryLock
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.configuration_edit import Edit, proposed
from smartflow_assets.config.settings import Settings
from smartflow_assets.config.yaml_file import replace_file
from smartflow_assets.core.errors import SourceError

_WAIT = timedelta(seconds=10)


class LostUpdate(SourceError):
    """The file is no longer the one that the change was made for."""


def write(settings: Settings, catalogue: Catalogue, name: str, changes: Mapping[str, Any], expected_hash: str | None = None) -> Edit:
    """Do it: the file is replaced as a whole, with the rights that it has. LostUpdate when it does not have the hash that is expected."""
    with AdvisoryLock(settings.locks / "configuration.lock").exclusive(_WAIT, holder=f"a change of {name}"):
        edit = proposed(settings, catalogue, name, changes)
        if expected_hash is not None and edit.hash != expected_hash:
            raise LostUpdate(
                f"{edit.file.name} was changed by somebody else meanwhile",
                source=name,
                where=edit.file.name,
                remedy="Look at it, and try again.",
            )
        if edit.is_change:
            replace_file(edit.file, edit.after)
        return edit
