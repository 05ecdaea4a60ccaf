"""Errors of code that is not ours, before they are kept."""

import pytest

from smartflow_assets.adapters.secret_references import told_safely
from smartflow_assets.core.errors import SourceError

ENVIRONMENT = {"SHOP_PASSWORD": "hunter2"}


class Rude(BaseException):
    """What only `except BaseException` catches."""


def raised(error: BaseException, cause: BaseException | None = None) -> BaseException:
    try:
        raise error from cause
    except BaseException as caught:
        return told_safely(caught, "shop", ENVIRONMENT)


def test_every_part_of_an_error_of_ours_is_redacted():
    told = raised(SourceError("no hunter2", source="shop", where="x?p=hunter2", remedy="Ask hunter2."))
    assert str(told) == "shop: no ${SHOP_PASSWORD} (x?p=${SHOP_PASSWORD}). Ask ${SHOP_PASSWORD}."
    assert "hunter2" not in repr(told)


@pytest.mark.parametrize("error", [Rude("no hunter2"), BaseExceptionGroup("no hunter2", [Rude("hunter2")]), RuntimeError("no hunter2")])
def test_what_a_stranger_raises_becomes_an_ordinary_error_without_secrets(error):
    told = raised(error)
    assert isinstance(told, Exception)
    assert str(told).startswith(f"shop: {type(error).__name__}: no ${{SHOP_PASSWORD}}")
    assert "hunter2" not in str(told)


def test_a_cause_with_a_secret_is_not_kept():
    assert raised(SourceError("no luck"), cause=ValueError("hunter2")).__cause__ is None


def test_an_error_without_secrets_stays_what_it_is():
    error = KeyError("x")
    assert raised(error) is error
