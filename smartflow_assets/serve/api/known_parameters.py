"""A parameter that a route does not know is refused: a list that silently leaves out a misspelt filter answers another question."""

from fastapi import Request

from smartflow_assets.core.nearest_name import did_you_mean
from smartflow_assets.serve.problem import Problem


async def only_known_parameters(request: Request) -> None:
    """Problem 422 for the first parameter in the address that the description of the route does not name. Routes that are not described,
    the links in messages, take any: mail programs add their own."""
    described = request.app.openapi()["paths"].get(request.scope["route"].path, {}).get("get")
    if described is None or request.method != "GET":
        return
    known = [each["name"] for each in described.get("parameters", ()) if each["in"] == "query"]
    for name in request.query_params:
        if name not in known:
            listed = f"It takes {', '.join(known)}." if known else "It takes none."
            raise Problem(422, f"there is no parameter {name[:60]!r} here", field=name[:60], remedy=did_you_mean(name, known, listed))
