"""What operators ask of a client and do to it by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._core import Engine
    from .types import Stats


class Operated:
    """A client that can be looked at, and kept from a deployment."""

    if TYPE_CHECKING:
        _engine: Engine

    def stats(self) -> Stats:
        """What has happened so far, as a plain dict; `fairlead.types.Stats` describes each entry.

        `total_requests`, `success_rate`, `average_latency` (seconds), `model_distribution` and `percentiles`
        sum all calls up; `deployments` and `credentials` tell them apart; `now` is what exists, and `config`
        the configuration that holds. All counts are those of this client and of the clients that share its
        connections, and go on over reloads.
        """
        stats: Stats = self._engine.stats()
        return {**stats, "now": self._engine.gauges(), "config": self._engine.configuration()}

    def isolate(self, deployment: str) -> None:
        """Send nothing to a deployment until `reset`, for maintenance or a fault that no breaker sees.

        It holds for the address and the model, as breakers do: deployments that differ in keys or regions
        alone are isolated together, and a reload changes nothing. Calls that run finish, others serve;
        where there is no other, calls fail with `NoHealthyDeployment`.

        Args:
            deployment: its name, as receipts and statistics tell it.

        Raises:
            ConfigError: when no deployment is called that.
            ClientClosed: when the client was closed.
        """
        self._engine.isolate(deployment)

    def reset(self, deployment: str) -> None:
        """End an isolation, and forget the failures of a deployment: its breaker is closed and counts anew.

        Args:
            deployment: its name, as receipts and statistics tell it.

        Raises:
            ConfigError: when no deployment is called that.
            ClientClosed: when the client was closed.
        """
        self._engine.reset(deployment)

    def metrics_text(self) -> str:
        """All metrics in Prometheus' text format 0.0.4, for an endpoint that is scraped.

        Serve it as `text/plain; version=0.0.4; charset=utf-8`. Labels are models, deployments and words of
        ours, each bounded in number; never users, keys or prompts, and tenants only with
        `metrics.tenant_label`.
        """
        return self._engine.metrics_text()

    def is_closed(self) -> bool:
        """Was it closed?"""
        return self._engine.is_closed
