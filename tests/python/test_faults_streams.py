"""What a stream promises: the same output for every split, bounds, backpressure, and honest ends."""

from __future__ import annotations

import asyncio
import itertools
import random
import sys
import time
from pathlib import Path
from typing import Any

import fairlead
import pytest
from fairlead.testing import Step, Upstream, faults, ok, raw, sse, stream, stream_bytes
from fairlead.testing.faults import answer
from fairlead.testing.streams import event
from fault_table import config
from faulty import MESSAGES, acall, async_client, call, client, once

CLOSED_WITHIN = 2.0
"""Seconds until an abandoned stream's connection is gone; in truth it is milliseconds."""

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


# ===== S5: every split of the bytes =====


def _wire() -> bytes:
    """A stream with everything a split can hit: line ends, comments, several data lines, wide characters."""
    ends = itertools.cycle([b"\n", b"\r\n", b"\r"])
    calls = [{"index": 0, "id": "call_0", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    parts = [
        answer.piece({"role": "assistant", "content": ""}),
        answer.piece({"content": faults.SPLIT_TEXT}),
        answer.piece({"reasoning_content": "想"}),
        answer.piece(
            {"content": "line\nend\r\ud83d\ude42".encode("utf-16", "surrogatepass").decode("utf-16")}
        ),
        answer.piece({"tool_calls": calls}),
        answer.piece({}, "tool_calls"),
        answer.usage(),
    ]
    lines = [event(part).rstrip(b"\n").replace(b',"', b',\ndata: "', 2) for part in parts]
    events = []
    for text, end in zip(lines, ends, strict=False):
        events.append(b": ping" + end + text.replace(b"\n", end) + end + end)
    return b"\xef\xbb\xbf" + b"".join(events) + b"id: 7\n\nevent: x\n\ndata:[DONE]\n\n"


def _cuts(data: bytes, places: list[int]) -> Step:
    return sse([data[start:end] for start, end in itertools.pairwise([0, *places, len(data)])])


def _splits(data: bytes) -> dict[str, Step]:
    chance = random.Random(11)
    anywhere = [sorted(chance.sample(range(1, len(data)), 40)) for _ in range(8)]
    ends = [place + 2 for place in range(len(data)) if data[place : place + 2] in (b"\n\n", b"\r\r")]
    return {
        "whole": sse([data]),
        "events": _cuts(data, ends),
        "bytes": sse([data]).sliced(1),
        "threes": sse([data]).sliced(3),
        **{f"random {number}": _cuts(data, places) for number, places in enumerate(anywhere)},
    }


def test_s5_every_split_of_the_bytes_gives_the_same_stream(up: Upstream) -> None:
    splits = _splits(_wire())
    up.script = list(splits.values())
    with client(config(up.base_url)) as made:
        outcomes = {name: call(made, stream=True) for name in splits}
    whole = outcomes["whole"]
    assert whole.text == faults.SPLIT_TEXT + "line\nend\r🙂"
    assert len(whole.chunks) == 6
    for name, outcome in outcomes.items():
        assert outcome.error is None, name
        assert [chunk.to_json() for chunk in outcome.chunks] == [c.to_json() for c in whole.chunks], name
        assert outcome.receipt.usage == whole.receipt.usage


def test_f18_a_reply_in_single_bytes_is_the_same_reply(up: Upstream) -> None:
    fixed = ok(faults.SPLIT_TEXT)
    up.script = [fixed, fixed.sliced(1)]
    with client(config(up.base_url)) as made:
        assert [call(made).text for _ in range(2)] == [faults.SPLIT_TEXT] * 2


# ===== S3: evidence =====


def test_s3_a_stream_is_complete_when_every_choice_has_finished(up: Upstream) -> None:
    def choice(index: int, finish: str | None) -> dict[str, Any]:
        return {"index": index, "delta": {"content": "x"}, "finish_reason": finish}

    one, other = choice(0, "stop"), choice(1, "stop")
    open_one = choice(1, None)
    chunk = answer.piece({})
    up.script = [
        sse([{**chunk, "choices": [one]}, {**chunk, "choices": [other]}, "[DONE]"]),
        sse([{**chunk, "choices": [one]}, {**chunk, "choices": [open_one]}, "[DONE]"]),
    ]
    with client(config(up.base_url)) as made:
        assert call(made, stream=True, n=2).error is None
        assert type(call(made, stream=True, n=2).error).__name__ == "StreamTruncated"


@pytest.mark.parametrize("form", ["chunked", "length", "close", "half_close"])
def test_s3_an_event_without_its_blank_line_is_not_dispatched_whatever_ends_the_body(
    up: Upstream, form: Any
) -> None:
    unfinished = event(answer.ending()).rstrip(b"\n")
    up.reply = sse([*answer.pieces(), unfinished], end=form)
    outcome = once(config(up.base_url), stream=True)
    assert type(outcome.error).__name__ == "StreamTruncated"
    assert outcome.error.partial == outcome.text == faults.TEXT


@pytest.mark.parametrize("form", ["chunked", "length", "close", "half_close"])
def test_s3_a_done_without_its_blank_line_ends_a_stream(up: Upstream, form: Any) -> None:
    up.reply = sse([*answer.pieces(), answer.ending(), b"data: [DONE]"], end=form)
    outcome = once(config(up.base_url), stream=True)
    assert (outcome.error, outcome.text) == (None, faults.TEXT)
    assert "missing_done" not in outcome.receipt.warnings


def test_s3_a_host_that_never_sends_a_finish_may_be_declared(up: Upstream) -> None:
    up.reply = faults.done_without_finish()
    lenient = config(up.base_url)
    lenient["models"]["m"]["deployments"][0]["finish_optional"] = True
    assert once(lenient, stream=True).text == faults.TEXT


@pytest.mark.parametrize(
    ("broken", "raises"),
    [
        (b'data: {"choices": [\n\n', "MalformedStream"),
        (b"data: \xff\xfe\n\n", "MalformedStream"),
        (b'data: {"choices": 3}\n\n', "MalformedStream"),
        (b'data: {"choices": [{"index": 0, "delta": {"content": NaN}}]}\n\n', "MalformedStream"),
        (b"5\r\nfail", "StreamTruncated"),
    ],
)
def test_an_event_that_is_none_raises_what_was_received_and_nothing_foreign(
    up: Upstream, broken: bytes, raises: str
) -> None:
    up.reply = sse([*answer.pieces()[:3], broken])
    outcome = once(config(up.base_url), stream=True)
    assert type(outcome.error).__name__ == raises, repr(outcome.error)
    assert outcome.error.partial == outcome.text == "Hello from "
    assert len(up.requests) == 1


def test_a_connection_closed_inside_a_chunk_interrupts_the_stream(up: Upstream) -> None:
    opening = answer.chunked_head("text/event-stream")
    whole = b"".join(event(piece) for piece in answer.pieces()[:3])
    up.reply = raw(opening + b"%x\r\n" % (len(whole) + 99) + whole + b"data: {")
    outcome = once(config(up.base_url), stream=True)
    assert type(outcome.error).__name__ == "StreamInterrupted", repr(outcome.error)
    assert outcome.error.partial == "Hello from "


def test_s4_an_end_in_good_order_gives_the_connection_back(up: Upstream) -> None:
    up.script = [stream("one two"), ok("second")]
    with client(config(up.base_url)) as made:
        call(made, stream=True)
        # The tail is read behind the reader's back: it may take a moment longer than the reader does.
        patience = time.monotonic() + 20
        while made.stats()["now"]["connections_idle"] == 0 and time.monotonic() < patience:
            time.sleep(0.001)
        call(made)
    assert up.connections_total == 1


# ===== S7: bounds =====


def test_s7_bounds_of_events_can_be_moved(up: Upstream) -> None:
    up.reply = faults.huge_event(2 << 20)
    wide = config(up.base_url, bounds={"event": 4 << 20, "line": 4 << 20})
    assert len(once(wide, stream=True).text or "") == 2 << 20
    narrow = config(up.base_url, bounds={"line": 1000})
    assert type(once(narrow, stream=True).error).__name__ == "ResponseTooLarge"


def test_s7_several_data_lines_count_together(up: Upstream) -> None:
    line = b"data: " + b" " * 1000 + b"\n"
    up.reply = sse([line * 3000 + b"\n"])
    error = once(config(up.base_url), stream=True).error
    assert type(error).__name__ == "ResponseTooLarge"


def test_s7_a_preamble_without_end_is_handed_out_at_its_bound(up: Upstream) -> None:
    role = answer.piece({"role": "assistant", "content": ""})
    up.reply = sse([role] * 1000, end="stall")
    with client(config(up.base_url, timeouts={"idle": 0.3})) as made:
        outcome = call(made, stream=True)
    assert type(outcome.error).__name__ == "StreamIdleTimeout"
    assert len(outcome.chunks) == 1000
    assert len(up.requests) == 1


@pytest.mark.parametrize("size", [100, 1 << 20])
def test_s7_the_bound_of_a_reply_can_be_moved(up: Upstream, size: int) -> None:
    up.reply = ok("x" * 100_000)
    outcome = once(config(up.base_url, bounds={"body": size}))
    assert (outcome.error is None) == (size > 100_000)
    if outcome.error:
        assert type(outcome.error).__name__ == "ResponseTooLarge"


# ===== S8: backpressure =====


def _held() -> int:
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) << 10


def _stalled(request: Any, expiry: float = 20.0) -> int:
    """The bytes that the upstream has sent once it sends no more."""
    deadline = time.monotonic() + expiry
    last = -1
    while last != request.bytes_sent and time.monotonic() < deadline:
        last = request.bytes_sent
        time.sleep(0.3)
    return int(request.bytes_sent)


@on_linux
@pytest.mark.parametrize("total", [64 << 20, pytest.param(1 << 30, marks=pytest.mark.soak)])
def test_s8_a_slow_reader_stalls_its_upstream_and_nobody_else(up: Upstream, total: int) -> None:
    up.at("long").reply = stream_bytes(total)
    up.at("short").reply = ok("quick")
    both = config(up.url("long"))
    both["models"]["n"] = config(up.url("short"))["models"]["m"]
    with client(both) as made:
        call(made, model="n")
        before = _held()
        reading = made.chat.completions.create(model="m", messages=MESSAGES, stream=True)
        length = len(next(reading).choices[0].delta.content)
        sent = _stalled(up.at("long").requests[0])
        assert sent < total // 4
        assert _held() - before < 16 << 20
        assert call(made, model="n").text == "quick"
        most = 0
        for place, chunk in enumerate(reading):
            length += len(chunk.choices[0].delta.content or "")
            if place % 4096 == 0:
                most = max(most, _held() - before)
        assert most < 16 << 20
    assert length > total // 2


def test_s8_time_in_which_nobody_reads_is_not_idle(up: Upstream) -> None:
    up.reply = stream_bytes(32 << 20)
    limits = {"idle": 0.3, "content_idle": 0.3, "first_token": 5}
    with client(config(up.base_url, timeouts=limits)) as made:
        reading = made.chat.completions.create(model="m", messages=MESSAGES, stream=True)
        next(reading)
        _stalled(up.requests[0])
        time.sleep(0.6)
        assert sum(1 for _ in reading) > 1000


# ===== S9, S10: leaving =====


def test_s9_leaving_a_stream_closes_it_and_settles_what_was_received(up: Upstream) -> None:
    up.reply = stream("one two three four", interval=0.3)
    with client(config(up.base_url)) as made:
        with made.chat.completions.create(model="m", messages=MESSAGES, stream=True) as reading:
            for chunk in reading:
                if chunk.choices[0].delta.content:
                    break
        assert up.requests[0].wait_closed(CLOSED_WITHIN)
        assert up.wait_disconnected(CLOSED_WITHIN)
        stats = made.stats()
        assert (stats["cancelled"], stats["settled"]) == (1, 1)
        assert stats["output_tokens"] == stats["estimated_tokens"] - stats["input_tokens"] > 0


def test_s9_the_asynchronous_client_does_too(up: Upstream) -> None:
    async def leave() -> None:
        async with async_client(config(up.base_url)) as made:
            reading = await made.chat.completions.create(model="m", messages=MESSAGES, stream=True)
            async with reading:
                async for chunk in reading:
                    if chunk.choices[0].delta.content:
                        break
            assert await asyncio.to_thread(up.requests[0].wait_closed, CLOSED_WITHIN)

    up.reply = stream("one two three four", interval=0.3)
    asyncio.run(leave())
    assert up.wait_disconnected(CLOSED_WITHIN)


@pytest.mark.parametrize("begun", [False, True])
def test_f127_s10_a_stream_that_is_forgotten_is_closed_with_a_warning(up: Upstream, begun: bool) -> None:
    up.reply = stream("one two three four", interval=0.3)
    with client(config(up.base_url)) as made:
        reading = made.chat.completions.create(model="m", messages=MESSAGES, stream=True)
        if begun:
            next(reading)
        with pytest.warns(ResourceWarning):
            del reading
        assert up.requests[0].wait_closed(CLOSED_WITHIN)


def test_f119_a_timeout_around_a_stream_is_the_callers_own(up: Upstream) -> None:
    async def wait() -> None:
        async with async_client(config(up.base_url)) as made:
            with pytest.raises(TimeoutError) as caught:
                await asyncio.wait_for(acall(made, stream=True), 0.3)
            assert not isinstance(caught.value, fairlead.FairleadError)
            assert await asyncio.to_thread(up.requests[0].wait_closed, CLOSED_WITHIN)

    up.reply = faults.stall_in_stream()
    asyncio.run(wait())
