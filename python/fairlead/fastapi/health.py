"""For whoever watches the application: does it live, is it ready, what does it do."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from ..client import AsyncClient
from ..errors import FairleadError
from .lifespan import LLM, WARM_UP

_BROKEN = ("open", "isolated")


def health_router(*, metrics: bool = False) -> APIRouter:
    """Routes for probes, none of them in the documentation of the API.

    - `GET /healthz`: the process serves requests.
    - `GET /readyz`: 200 when the warm-up is over and every model of the configuration has a deployment,
      its own or a fallback's, whose breaker is not open; else 503, with the state of each model.
    - `GET /metrics`, where `metrics` is true: `client.metrics_text()`. It tells of models and deployments:
      keep it from the public.
    """
    router = APIRouter(include_in_schema=False)
    router.add_api_route("/healthz", _live, methods=["GET", "HEAD"])
    router.add_api_route("/readyz", _ready, methods=["GET", "HEAD"])
    if metrics:
        router.add_api_route("/metrics", _metrics, methods=["GET"])
    return router


async def _live() -> Response:
    return JSONResponse({"status": "ok"})


async def _ready(request: Request, llm: LLM) -> Response:
    warm_up = getattr(request.state, WARM_UP, None)
    models = {} if llm.is_closed() else _models(llm)
    if llm.is_closed():
        status = "stopping"
    elif warm_up is not None and not warm_up.is_over:
        status = "starting"
    else:
        status = "ready" if all(models.values()) else "unavailable"
    told = {name: "ready" if works else "unavailable" for name, works in models.items()}
    return JSONResponse({"status": status, "models": told}, 200 if status == "ready" else 503)


async def _metrics(llm: LLM) -> Response:
    return PlainTextResponse(llm.metrics_text(), media_type="text/plain; version=0.0.4")


def _models(client: AsyncClient) -> dict[str, bool]:
    """Whether each model of the configuration has somebody to answer for it."""
    deployments = client.stats()["deployments"]
    broken = {name for name, stats in deployments.items() if stats["breaker"] in _BROKEN}
    return {model.id: _works(client, model.id, broken) for model in client.models.configured()}


def _works(client: AsyncClient, model: str, broken: set[str]) -> bool:
    try:
        candidates = client.route(model=model).candidates
    except FairleadError:
        return True  # it is not for a call like this; of its health that says nothing
    serving = {choice.deployment for choice in candidates if choice.role in ("own", "fallback")}
    return not serving or not serving <= broken
