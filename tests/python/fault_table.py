"""The fault matrix as a table: what each fault of `fairlead.testing.faults` must come to.

A row holds for one deployment that does nothing else, with `max_retries=2`, and says what becomes of the call
when a healthy deployment stands beside it. Faults that need more than that have tests of their own in
`test_faults_apart.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fairlead.testing import Reply, Step, fail, faults, hang, raw, sse
from fairlead.testing.faults import answer
from fairlead.testing.steps import STALL

MAX_RETRIES = 2

TIMEOUTS: Mapping[str, float] = {"first_token": 20, "idle": 20, "content_idle": 20, "total": 60, "tail": 0.2}
"""Far away for every row that does not shrink one of them."""


@dataclass(frozen=True)
class Row:
    """One fault and its outcome."""

    fault: str
    """Its name in the catalogue, or one of its own that begins with the number."""
    raises: str | None = None
    """The class of `fairlead.errors`; `None` is success."""
    again: bool = False
    """May the same deployment be asked again? Then all three attempts are made."""
    elsewhere: bool | None = None
    """May another deployment be asked? By default as `again`."""
    retryable: bool | None = None
    """What `is_retryable` says to the caller; `None` where the caller decides. By default as `again`."""
    says: str = ""
    """Part of the message."""
    text: str | None = faults.TEXT
    """What a success says, or what a stream had said when it broke."""
    warns: str | None = None
    """The oddity the receipt names."""
    whole: bool = True
    """Asked for as a whole reply."""
    streamed: bool = False
    """Asked for as a stream."""
    timeouts: Mapping[str, float] = field(default_factory=dict)
    """Limits scaled down for the test."""
    step: Callable[[], Step] | None = None
    """Instead of the catalogue's."""
    over_tls: bool = True
    """Is it the same over TLS? A reset discards what the TLS of the upstream has not written yet."""
    over_proxy: bool = True
    """Is it the same through a proxy? There a head has no limit and no bounds of its own."""

    def make(self) -> Step:
        """The step that reproduces the fault."""
        return (self.step or faults.CATALOGUE[self.fault])()

    @property
    def forms(self) -> list[bool]:
        """The values of `stream` it is tested with."""
        return [form for form, wanted in ((False, self.whole), (True, self.streamed)) if wanted]

    @property
    def requests(self) -> int:
        """What a lone deployment sees of one call."""
        return MAX_RETRIES + 1 if self.again else 1

    @property
    def fails_over(self) -> bool:
        """Does a healthy deployment save the call?"""
        return self.again if self.elsewhere is None else self.elsewhere

    def config(self, *base_urls: str, **changes: Any) -> dict[str, Any]:
        """One model `m` over these deployments, with the row's limits."""
        return config(*base_urls, timeouts=self.timeouts, **changes)


def config(*base_urls: str, timeouts: Mapping[str, float] | None = None, **changes: Any) -> dict[str, Any]:
    """One model `m` over deployments at these URLs, in this order, with backoff of a millisecond.

    Without breakers, a retry budget and learned limits: what every single attempt meets is told, however many
    there are.
    """
    stages = {"admit": False, **changes.pop("stages", {})}
    deployments = [
        {"provider": "openai", "model": f"up-{place}", "api_key": f"sk-test-{place}", "base_url": base_url}
        for place, base_url in enumerate(base_urls)
    ]
    return {
        "models": {"m": {"deployments": deployments}},
        "retry": {
            "max_retries": MAX_RETRIES,
            "base": 0.001,
            "throttled_base": 0.001,
            "budget": {"enabled": False},
        },
        "breaker": {"enabled": False},
        "stages": stages,
        "timeouts": {**TIMEOUTS, **(timeouts or {})},
        **changes,
    }


def refused(fault: str, raises: str, **more: Any) -> Row:
    """A fault that every attempt meets before a word of the answer: whole or streamed is the same."""
    return Row(fault, raises, **{"again": True, "retryable": True, "streamed": True, **more})


def broken(fault: str, raises: str, **more: Any) -> Row:
    """A whole reply that breaks."""
    return Row(fault, raises, **{"again": True, "retryable": True, **more})


def final(fault: str, raises: str, **more: Any) -> Row:
    """A whole reply that ends the call: nobody else would do better."""
    return Row(fault, raises, **{"retryable": False, **more})


def early(fault: str, raises: str, **more: Any) -> Row:
    """A stream that breaks before it has committed: nobody sees it if another one serves."""
    return Row(fault, raises, **{"again": True, "retryable": True, "whole": False, "streamed": True, **more})


def late(fault: str, raises: str, text: str, **more: Any) -> Row:
    """A stream that breaks after it has committed: never retried, and the caller gets what there was."""
    return Row(fault, raises, text=text, **{"whole": False, "streamed": True, **more})


def fine(fault: str, **more: Any) -> Row:
    """A whole reply that is odd and good."""
    return Row(fault, **more)


def flowing(fault: str, **more: Any) -> Row:
    """A stream that is odd and good."""
    return Row(fault, **{"whole": False, "streamed": True, **more})


def elsewhere(fault: str, raises: str, **more: Any) -> Row:
    """A refusal that the same deployment would only repeat."""
    return Row(fault, raises, **{"elsewhere": True, "retryable": False, "streamed": True, **more})


_SHORT = {"idle": 0.3}
_BEGUN = "Hello from"
"""What a stream has said that breaks after three events."""


def _preamble(*then: Any, **ending: Any) -> Callable[[], Step]:
    """A stream of which only the role has come when it breaks."""
    return lambda: sse([answer.piece({"role": "assistant", "content": ""}), *then], **ending)


TRANSPORT = [
    refused("F06", "ConnectionReset"),
    refused("F06/closed", "ConnectionReset", step=lambda: raw(b"")),
    refused("F08", "ConnectionReset"),
    refused("F08/closed", "ConnectionReset", step=lambda: raw(b"HTTP/1.1 200 OK\r\ncontent-ty")),
    broken("F09", "ResponseTruncated", over_tls=False),
    late("F10", "StreamInterrupted", _BEGUN, over_tls=False),
    fine("F11"),
    broken("F12", "ResponseTruncated"),
    refused("F13", "HeadersTimeout", says="timeouts.headers", timeouts={"headers": 0.3}, over_proxy=False),
    broken("F15", "StreamIdleTimeout", says="timeouts.idle", timeouts=_SHORT),
    late("F15/stream", "StreamIdleTimeout", _BEGUN, says="timeouts.idle", timeouts=_SHORT),
    broken("F02/answer", "AttemptTimeout", says="timeouts.attempt", timeouts={"attempt": 0.3}, step=hang),
    early("F02/token", "FirstTokenTimeout", says="first_token", timeouts={"first_token": 0.3}, step=hang),
    early("F02/later", "FirstTokenTimeout", step=_preamble(end="stall"), timeouts={"first_token": 0.3}),
    Row("F16", streamed=False, step=lambda: faults.late_bytes(0.2)),
    Row("F17", streamed=True, step=lambda: faults.narrow_band(4000.0), timeouts=_SHORT),
    Row("F18", streamed=True),
]

FRAMING = [
    fine("F33/1.0", step=lambda: raw(b"HTTP/1.0 200 OK\r\n\r\n" + answer.body())),
    broken("F33", "ResponseTruncated"),
    refused("F34", "ProtocolError"),
    broken("F36", "ProtocolError"),
    late("F36/stream", "StreamInterrupted", _BEGUN),
    broken("F37", "ProtocolError"),
    broken("F38", "ResponseTruncated"),
    late("F38/stream", "StreamTruncated", _BEGUN),
    final("F39", "ResponseTooLarge", streamed=True),
    final("F39/size", "ResponseTooLarge", streamed=True),
    final("F39/field", "ResponseTooLarge", streamed=True),
    refused("F40", "ProtocolError"),
    refused("F40/cr", "ProtocolError"),
    refused("F40/fold", "ProtocolError"),
    refused("F41", "ProtocolError", says="32", over_proxy=False),
    refused("F42", "ProtocolError"),
    refused("F42/0.9", "ProtocolError"),
    refused("F43", "InternalServerError"),
    refused("F43/000", "ProtocolError"),
    refused("F44", "MalformedResponse", says="204"),
    refused("F44/304", "MalformedResponse", says="304"),
]

BODIES = [
    broken("F57", "MalformedResponse"),
    broken("F58", "MalformedResponse"),
    broken("F58/infinity", "MalformedResponse"),
    fine("F59"),
    broken("F60", "MalformedResponse", says="deep"),
    final("F61", "ResponseTooLarge", says="67108864"),
    final("F62", "ResponseTooLarge", says="100 times"),
    broken("F63", "ResponseTruncated"),
    broken("F63/deflate", "ResponseTruncated"),
    broken("F63/br", "ResponseTruncated"),
    broken("F63/zstd", "ResponseTruncated"),
    broken("F64", "MalformedResponse"),
    broken("F65", "MalformedResponse", streamed=True, says="<"),
    broken("F66", "MalformedResponse"),
    broken("F67", "MalformedResponse"),
    fine("F68"),
    fine("F69", text=None),
    broken("F70", "MalformedResponse"),
    broken("F70/null", "MalformedResponse"),
    broken("F70/empty", "MalformedResponse"),
    fine("F71", text=None),
]


STREAMS = [
    late("F72", "StreamTruncated", faults.TEXT),
    early("F72/preamble", "StreamTruncated", step=_preamble()),
    early("F10/preamble", "ResponseTruncated", step=_preamble(end="reset"), over_tls=False),
    early("F15/preamble", "StreamIdleTimeout", step=_preamble(end="stall"), timeouts=_SHORT),
    early("F36/preamble", "ProtocolError", step=lambda: faults.bad_chunk_size_in_stream(1)),
    early("F38/preamble", "StreamTruncated", step=_preamble(end="cut")),
    flowing("F73", warns="missing_done"),
    late("F74", "StreamTruncated", faults.TEXT, says="DONE"),
    early("F74/preamble", "StreamTruncated", step=_preamble("[DONE]")),
    flowing("F75"),
    flowing("F75/data"),
    flowing("F76"),
    early("F77", "StreamIdleTimeout", says="content_idle", timeouts={"content_idle": 0.3}),
    flowing("F78"),
    flowing("F79"),
    final("F80", "ResponseTooLarge", whole=False, streamed=True, says="1048576"),
    early("F81", "OverloadedError"),
    late("F82", "StreamInterrupted", _BEGUN, says="Overloaded"),
    flowing("F83", warns="error_after_finish"),
    early("F84", "OverloadedError"),
    early("F86", "MalformedStream", says="index"),
    early("F86/million", "MalformedStream", says="index"),
    late("F86/gap", "MalformedStream", "", says="index"),
    flowing("F87", warns="finish_twice"),
    flowing("F88"),
    flowing("F89"),
    flowing("F89/null"),
    flowing("F90", warns="usage_invalid"),
    flowing("F90/huge", warns="usage_invalid"),
    flowing("F90/fraction", warns="usage_invalid"),
    flowing("F90/text", warns="usage_invalid"),
    flowing("F91", warns="model_changed"),
    flowing(
        "F92/unknown",
        step=lambda: sse(
            [b'event: moon_phase\ndata: {"type":"ping"}\n\n', *answer.pieces(), answer.ending(), "[DONE]"]
        ),
    ),
    early("F92", "StreamTruncated"),
    early("F92/order", "StreamTruncated"),
]


def _spoiled(status: int, *, reset: bool = False) -> Step:
    """An error whose own body breaks or stalls: its status is word enough."""
    start = answer.reply(b'{"error":', status=status, length=99)
    return raw(start, reset=True) if reset else raw([start, STALL])


STATUSES = [
    refused("F93", "RateLimitError"),
    *(elsewhere(name, "RateLimitError", retryable=True) for name in ("F94", "F94/inf", "F94/duration")),
    refused("F95", "RateLimitError"),
    refused("F95/nan", "RateLimitError"),
    refused("F95/junk", "RateLimitError"),
    refused("F96/past", "RateLimitError"),
    elsewhere("F97", "QuotaExceeded"),
    elsewhere("F97/spend", "QuotaExceeded"),
    elsewhere("F97/zero", "QuotaExceeded"),
    refused("F98", "OverloadedError"),
    refused("F98/503", "OverloadedError"),
    refused("F99", "InternalServerError"),
    refused("F99/reset", "InternalServerError", step=lambda: _spoiled(500, reset=True), over_tls=False),
    refused("F99/stall", "InternalServerError", step=lambda: _spoiled(500), timeouts=_SHORT),
    refused(
        "F99/page",
        "InternalServerError",
        step=lambda: Reply(502, body="<html>" * 99, content_type="text/html"),
    ),
    elsewhere("F101/stall", "AuthenticationError", step=lambda: _spoiled(401), timeouts=_SHORT),
    elsewhere("F94/503", "InternalServerError", retryable=True, step=lambda: fail(503, retry_after=100_000)),
    elsewhere("F101", "AuthenticationError"),
    elsewhere("F102", "NotFoundError"),
    elsewhere("F102/region", "PermissionDeniedError"),
    final("F103", "UnexpectedRedirect", streamed=True),
    final("F103/loop", "UnexpectedRedirect", streamed=True),
    final("F103/host", "UnexpectedRedirect", streamed=True),
]

ROWS = [*TRANSPORT, *FRAMING, *BODIES, *STREAMS, *STATUSES]

APART = frozenset(
    {
        "F07",
        "F07/closed",
        "F14",
        "F19",
        "F20",
        "F20/400",
        "F20/abrupt",
        "F35",
        "F45",
        "F85",
        "F96",
        "F96/skewed",
    }
)
"""Faults of the catalogue that have tests of their own."""
