"""How the JSON schemas of YAML files are written: a default as people write it.

Editors complete from the schema. pydantic writes the default of a duration as PT1H, which no YAML may say; here it is 1h. The
same goes for rates and shares.
"""

from datetime import timedelta
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from smartflow_assets.adapters.staging.bad_rows import Share
from smartflow_assets.core.temporal.notation import Frequency, format_duration


class ReadableSchema(GenerateJsonSchema):
    """A generator for `model_json_schema(schema_generator=...)`."""

    def encode_default(self, dft: Any) -> Any:
        if isinstance(dft, Frequency | Share):
            return str(dft)
        return format_duration(dft) if isinstance(dft, timedelta) else super().encode_default(dft)
