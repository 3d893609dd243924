"""The whole examination."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from . import keys, network, service
from .offline import Offline
from .places import Place, keys_for_all, places_of
from .report import Report


def examine(
    config: str | Sequence[str] | None = None,
    *,
    offline: bool = False,
    timeout: float = 10.0,
    ping: bool = False,
) -> Report:
    """Look at everything.

    Args:
        config: a file, or several, each laid over the one before; None is what a client without arguments
            finds.
        offline: ask a local upstream instead of the services; keys need not be there, but those that are
            there are looked at.
        timeout: seconds that one question to a network may take. Default: 10.
        ping: also ask every model for one token, which costs that token. Default: False.

    Returns:
        Every check with its outcome; `is_well` tells whether nothing was found.
    """
    report = Report(keys.secrets())
    with ExitStack() as stack:
        local = stack.enter_context(Offline()) if offline else None
        found = places_of(config, report, local)
        providers = {place.provider for place in found}
        if all(place.id is None for place in found):
            # Without a configuration, offline too, every provider whose key is there is meant.
            providers.update(keys.with_key())
        # A configuration that cannot be read may well have keys.
        keys.look(report, providers, must_be_there=report.is_well and not offline)
        network.look_at_proxies(report)
        stack.enter_context(keys_for_all(offline))
        for place in found:
            _look_at(place, report, timeout, ping or offline)
    return report


def _look_at(place: Place, report: Report, timeout: float, ping: bool) -> None:
    with place.client(report, timeout) as client:
        if client is None:
            return
        url = None if place.has_proxy else place.address(timeout)
        if url is not None and not network.look(report, place, url, timeout):
            return
        if service.look(report, place, client) and ping:
            service.ping(report, place, client)
