"""What ties sources together, by their files: tags, where their rows come from, and the references of their contracts."""

from posixpath import normpath

from smartflow_assets.adapters.readers.base import BaseReader
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.core.incidents.source_groups import Ties


def ties_of(catalogue: Catalogue) -> Ties:
    """The ties of all sources whose file can be used.

    Origins are one where two read the same file or files, address, or table; of a query nobody knows what it reads.
    """
    sources = catalogue.sources
    origins = {name: _origin(source.read) for name, source in sources.items()}
    return Ties(
        tags={name: frozenset(source.tags.items()) for name, source in sources.items()},
        origins={name: origin for name, origin in origins.items() if origin},
        upstream={
            name: frozenset(each.source for each in source.contract.references) - {name}
            for name, source in sources.items()
            if source.contract is not None
        },
    )


def _origin(reader: BaseReader) -> str:
    """What a reader reads; empty where that is not said by an address."""
    path, url, table = (getattr(reader, name, None) for name in ("path", "url", "table"))
    if path:
        return normpath(path)
    if url and (table or not hasattr(reader, "table")):
        return f"{url} {str(table or '').lower()}".strip()
    return ""
