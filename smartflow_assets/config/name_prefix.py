"""The prefix of this home's names in Dagster, as the environment says it.

Apart from defs.names, which gives the names: that needs Dagster, which takes seconds to import, and a prefix that Dagster could not
take is refused by commands that need no Dagster too.
"""

import keyword
import re
from collections.abc import Mapping

from smartflow_assets.core.errors import SmartflowError

PREFIX_VARIABLE = "SMARTFLOW_PREFIX"
DEFAULT_PREFIX = "smartflow"
_PATTERN = re.compile(r"[a-z][a-z0-9_]{0,31}")


def prefix_of(environ: Mapping[str, str]) -> str:
    """The prefix that the environment names, else the default. SmartflowError when Dagster could not take it.

    >>> prefix_of({}), prefix_of({"SMARTFLOW_PREFIX": "quality"})
    ('smartflow', 'quality')
    """
    prefix = environ.get(PREFIX_VARIABLE) or DEFAULT_PREFIX
    if not _PATTERN.fullmatch(prefix) or keyword.iskeyword(prefix):
        raise SmartflowError(
            f"{PREFIX_VARIABLE}={prefix} cannot be the prefix of names in Dagster",
            remedy="Take up to 32 small letters, digits and underscores, a letter first, such as quality.",
        )
    return prefix
