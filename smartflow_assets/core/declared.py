"""What all parts of a YAML file have in common: they do not change, know their keys, and hold numbers that are numbers."""

from pydantic import BaseModel, ConfigDict


class Declared(BaseModel):
    """A part of what a person declares. A key that it does not know and a number that is none (`.nan`, `.inf`) are errors: a limit that no
    value reaches switches a rule off without a word."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
