"""Who did what: a row of `api_audit` for each request that changes something or wanted to, however it ended."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from fastapi import Request

from smartflow_assets.core.errors import SmartflowError
from smartflow_assets.serve.access.caller import Caller, service_of
from smartflow_assets.serve.problem import Problem
from smartflow_assets.stages.audit import Audited, note


@contextmanager
def audited(
    request: Request,
    caller: Caller | str,
    action: str,
    *,
    source: str = "",
    target: str = "",
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> Iterator[None]:
    """Note what is done inside, by a token or by whom a text says. What is done stands even where nobody could note it."""
    name, role = (caller, None) if isinstance(caller, str) else (caller.name, caller.role)
    outcome, detail = "done", ""
    try:
        yield
    except (Problem, SmartflowError) as error:
        outcome, detail = "refused", error.detail if isinstance(error, Problem) else str(error)
        raise
    except BaseException as error:
        outcome, detail = "failed", type(error).__name__
        raise
    finally:
        service = service_of(request)
        entry = Audited(
            source=source,
            action=action,
            done_by=name,
            role=role,
            outcome=outcome,
            request_id=request.scope["state"]["request_id"],
            happened_at=service.now(),
            target=target,
            before=before,
            after=after,
            detail=detail,
        )
        with suppress(SmartflowError):
            note(service.warehouse, entry)
