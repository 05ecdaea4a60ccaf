"""Who did what: a row of `api_audit` for each request that changes something or wanted to, however it ended.

But for one: what was refused because others hold the warehouse has no row, since that would wait for them too. The log has it.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from fastapi import Request

from smartflow_assets.adapters.warehouse.vocabularies import AuditOutcome
from smartflow_assets.core.errors import SmartflowError, WarehouseBusyError
from smartflow_assets.serve.access.caller import Caller, service_of
from smartflow_assets.serve.access.tokens import Role
from smartflow_assets.serve.problem import Problem
from smartflow_assets.stages.audit import Audited, note

_log = logging.getLogger("smartflow.serve")


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
    outcome: AuditOutcome | None = "done"
    detail = ""
    try:
        yield
    except WarehouseBusyError as error:
        outcome = None
        request_id, (name, _) = request.scope["state"]["request_id"], _name_and_role(caller)
        _log.warning("request %s: %s of %s by %s was refused: %s", request_id, action, target or source, name, error)
        raise
    except (Problem, SmartflowError) as error:
        outcome, detail = "refused", error.detail if isinstance(error, Problem) else str(error)
        raise
    except BaseException as error:
        outcome, detail = "failed", type(error).__name__
        raise
    finally:
        if outcome is not None:
            with suppress(SmartflowError):
                note_request(request, caller, action, outcome, source=source, target=target, before=before, after=after, detail=detail)


def note_request(request: Request, caller: Caller | str, action: str, outcome: AuditOutcome, **facts: Any) -> None:
    """Note one request, with the facts of `Audited` that it has. SmartflowError where that cannot be written."""
    service = service_of(request)
    name, role = _name_and_role(caller)
    about = {"source": "", "request_id": request.scope["state"]["request_id"], "happened_at": service.now()} | facts
    note(service.warehouse, Audited(action=action, done_by=name, role=role, outcome=outcome, **about))


def _name_and_role(caller: Caller | str) -> tuple[str, Role | None]:
    return (caller, None) if isinstance(caller, str) else (caller.name, caller.role)
