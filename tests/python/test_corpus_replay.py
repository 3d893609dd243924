"""Recorded traffic, replayed over real sockets: what a caller reads equals what the official SDK reads."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import fairlead
import openai
import pytest
import sdk_reading
from corpus import BY_WRITE, ITEM, SPLIT, Item, Service, items, needs_corpus, unfinished
from fairlead import accumulate
from fairlead.testing import Upstream
from faulty import async_client, client
from openai.lib.streaming.chat import ChatCompletionStreamState
from sdk_reading import official

pytestmark = [needs_corpus, pytest.mark.timeout(300)]

CHATS, EMBEDDINGS = items("openai.chat"), items("openai.embeddings")
STREAMS = tuple(item for item in CHATS if item.streaming)
ALL = CHATS + EMBEDDINGS

AT_ONCE = 32
"""Calls in flight."""

SHORT = 700
"""Bytes of a body that is written byte by byte in every run; the others have their turn in the long ones."""

ACCUMULATOR_FAILS = {
    "openai-bd7541c6942c32ad": "annotations without an index: it raises",
    "openai-740a8c772e62a22b": "a custom host's tool calls without a type: it raises",
    "openai-85259ca3b1db083a": "a chunk with a null usage follows the usage: it forgets the usage",
}
"""Streams that the SDK parses but cannot accumulate; a plain fold over its chunks stands in."""

SEND_USAGE_UNASKED = {"openai-96463d68a0d42eec"}
"""Streams with a chunk of usage alone that nobody asked for: shown there, kept for the receipt here."""

FAIL_IN_BAND = {
    "openai-23cf6818bb023b92": (fairlead.InternalServerError, "tool_use_failed"),
    "openai-86bf7c5e9a09db2c": (fairlead.InternalServerError, "tool_use_failed"),
    "openai-5f7503a0311247cd": (fairlead.ContextLengthExceeded, "Token limit reached"),
}
"""Streams that end in an error, which the SDK raises as a bare `APIError`.

Here it is `StreamInterrupted`, with what was received; the error's own class where nothing had been handed
out yet, because it came together with the first content.
"""

TOLD_APART: dict[str, tuple[type[Exception], str]] = {
    "openai-0e4a70ccf811fad2": (
        fairlead.InternalServerError,
        "tool_use_failed: sampling failed, worth a retry",
    ),
    "openai-c506950c7dbd0634": (
        fairlead.InternalServerError,
        "tool_use_failed: sampling failed, worth a retry",
    ),
    "openai-2d41f37a6cc9d0e0": (fairlead.NotFoundError, "a 400 that means an unknown model"),
}
"""Errors whose class is another one than the status alone gives, and why."""


@dataclass(frozen=True)
class Ours:
    """What became of a call."""

    reply: Any = None
    chunks: tuple[Any, ...] = ()
    error: Any = None
    receipt: Any = None


@pytest.fixture
def up() -> Iterator[Upstream]:
    with Upstream() as upstream:
        upstream.reply = Service(ALL)
        yield upstream
        assert upstream.errors == []


def config(served: Iterable[Item], up: Upstream) -> dict[str, Any]:
    """Each interaction is a model of its own, at its own provider."""
    models = {item.id: {"deployments": [item.deployment(up.base_url)]} for item in served}
    return {"models": models, "retry": {"max_retries": 0}, "breaker": {"enabled": False}}


def arguments(item: Item, split: str) -> dict[str, Any]:
    return {**item.arguments, "model": item.id, "extra_headers": {ITEM: item.id, SPLIT: split}}


def create(made: Any, item: Item) -> Callable[..., Any]:
    found: Callable[..., Any] = made.chat.completions.create if item.is_chat else made.embeddings.create
    return found


async def ask(made: fairlead.AsyncClient, item: Item, split: str, **changed: Any) -> Ours:
    try:
        answer = await create(made, item)(**{**arguments(item, split), **changed})
    except fairlead.FairleadError as error:
        return Ours(error=error)
    if not item.asks_for_stream:
        return Ours(answer, receipt=answer.fairlead)
    chunks: list[Any] = []
    try:
        async for chunk in answer:
            chunks.append(chunk)
    except fairlead.FairleadError as error:
        return Ours(chunks=tuple(chunks), error=error, receipt=answer.fairlead)
    return Ours(chunks=tuple(chunks), receipt=answer.fairlead)


def ask_blocking(made: fairlead.Client, item: Item, split: str) -> Ours:
    try:
        answer = create(made, item)(**arguments(item, split))
    except fairlead.FairleadError as error:
        return Ours(error=error)
    if not item.asks_for_stream:
        return Ours(answer, receipt=answer.fairlead)
    chunks: list[Any] = []
    try:
        for chunk in answer:
            chunks.append(chunk)
    except fairlead.FairleadError as error:
        return Ours(chunks=tuple(chunks), error=error, receipt=answer.fairlead)
    return Ours(chunks=tuple(chunks), receipt=answer.fairlead)


def replay(served: tuple[Item, ...], split: str, up: Upstream, **changed: Any) -> list[Ours]:
    """Every interaction through one asynchronous client."""

    async def run() -> list[Ours]:
        room = asyncio.Semaphore(AT_ONCE)

        async def one(made: fairlead.AsyncClient, item: Item) -> Ours:
            async with room:
                return await ask(made, item, split, **changed)

        async with async_client(config(served, up)) as made:
            return await asyncio.gather(*(one(made, item) for item in served))

    return asyncio.run(run())


def replay_blocking(served: tuple[Item, ...], split: str, up: Upstream) -> list[Ours]:
    """Every interaction through one blocking client, from several threads."""
    with client(config(served, up)) as made, ThreadPoolExecutor(AT_ONCE) as threads:
        return list(threads.map(lambda item: ask_blocking(made, item, split), served))


# ===== what must be equal =====


def differing(name: str, ours: Any, theirs: Any) -> list[str]:
    return [] if ours == theirs else [f"{name}: {ours!r:.400} is not {theirs!r:.400}"]


def as_text(value: Any) -> str:
    """Equal only if types, order of keys and every digit are equal."""
    return json.dumps(value, ensure_ascii=False)


def differences(item: Item, ours: Ours) -> list[str]:
    """What a caller reads otherwise than the SDK, or than what was sent."""
    theirs = official(item)
    if item.status >= 400:
        return refusal_differences(item, ours, theirs.error)
    if item.asks_for_stream:
        return stream_differences(item, ours)
    if ours.error is not None:
        return [repr(ours.error)]
    if not item.is_chat:
        return embedding_differences(item, ours)
    sent = json.loads(item.body)
    return [
        *differing("model_dump", as_text(ours.reply.model_dump()), as_text(sent)),
        *differing("bytes", ours.reply.model_dump_json().encode(), item.body.strip()),
        *differing("reading", sdk_reading.completion(ours.reply), sdk_reading.completion(theirs.reply)),
        *receipt_differences(ours.receipt, ours.reply.usage),
    ]


def receipt_differences(receipt: Any, usage: Any) -> list[str]:
    if usage is None or usage.total_tokens is None:
        return []
    return differing("receipt", receipt.usage and receipt.usage.total, int(usage.total_tokens))


def embedding_differences(item: Item, ours: Ours) -> list[str]:
    theirs = official(item, encoding_format=item.request.get("encoding_format"))
    sent = json.loads(item.body)
    if "encoding_format" not in item.request:
        for place, entry in enumerate(sent["data"]):
            entry["embedding"] = theirs.reply.data[place].embedding
    return [
        *differing("model_dump", as_text(ours.reply.model_dump()), as_text(sent)),
        *differing("reading", *(as_text(sdk_reading.embeddings(made.reply)) for made in (ours, theirs))),
        *receipt_differences(ours.receipt, ours.reply.usage),
    ]


def payloads(body: bytes) -> list[Any]:
    """The JSON of every event of a stream whose events have one line of data each."""
    lines = body.replace(b"\r\n", b"\n").split(b"\n")
    data = [line.removeprefix(b"data:").strip() for line in lines if line.startswith(b"data:")]
    return [json.loads(text) for text in data if text and text != b"[DONE]"]


def stream_differences(item: Item, ours: Ours) -> list[str]:
    if item.id in FAIL_IN_BAND:
        return in_band_differences(item, ours)
    theirs = official(item)
    read = sdk_reading.fold(ours.chunks)
    sent = [event for event in payloads(item.body) if is_shown(item, event)]
    put_together = sdk_reading.accumulated(accumulate.ChatCompletionStreamState(), ours.chunks)
    return [
        *differing("error", ours.error, theirs.error),
        *differing("chunks", as_text([chunk.model_dump() for chunk in ours.chunks]), as_text(sent)),
        *differing("chunks that add up", read, official_sum(item)),
        *differing("our accumulator", put_together, read),
        *receipt_differences(ours.receipt, last_usage(theirs.chunks)),
    ]


def official_sum(item: Item) -> sdk_reading.Read:
    """What the SDK's accumulator makes of a stream."""
    chunks = [chunk for chunk in official(item).chunks if is_shown(item, chunk)]
    if item.id in ACCUMULATOR_FAILS:
        return sdk_reading.fold(chunks)
    return sdk_reading.accumulated(ChatCompletionStreamState(), chunks)


def is_shown(item: Item, chunk: Any) -> bool:
    """Does the caller see it?"""
    alone = sdk_reading.of(chunk, "choices") == [] and sdk_reading.of(chunk, "usage")
    return not (alone and item.id in SEND_USAGE_UNASKED)


def last_usage(chunks: Iterable[Any]) -> Any:
    return next((chunk.usage for chunk in reversed([*chunks]) if chunk.usage is not None), None)


def in_band_differences(item: Item, ours: Ours) -> list[str]:
    theirs = official(item)
    kind, says = FAIL_IN_BAND[item.id]
    broken = fairlead.StreamInterrupted if ours.chunks else kind
    expected = sdk_reading.fold(theirs.chunks if ours.chunks else ())
    read = sdk_reading.fold(ours.chunks)
    text = (read["choices"].get(0) or {}).get("text") or ""
    return [
        *differing("theirs", type(theirs.error), openai.APIError),
        *([] if isinstance(ours.error, broken) else [f"{ours.error!r} is no {broken.__name__}"]),
        *differing("before it", read, expected),
        *differing("partial", ours.error.partial if ours.chunks else "", text),
        *differing("body", ours.error.body, theirs.error.body),
        *([] if says in as_text(ours.error.body) else [f"{says!r} is not in {ours.error.body!r}"]),
    ]


def refusal_differences(item: Item, ours: Ours, theirs: Any) -> list[str]:
    error = ours.error
    kind, _why = TOLD_APART.get(item.id, (type(theirs), ""))
    if not isinstance(error, kind):
        return [f"{error!r} is no {kind.__name__}, said {item.body!r:.300}"]
    return [
        *differing("status_code", error.status_code, theirs.status_code),
        *differing("body", error.body, theirs.body),
    ]


def assert_equal(served: tuple[Item, ...], all_ours: list[Ours]) -> None:
    pairs = zip(served, all_ours, strict=True)
    faults = {item.id: found for item, ours in pairs if (found := differences(item, ours))}
    listed = "\n".join(f"{name}: {'; '.join(found)}" for name, found in faults.items())
    assert not faults, f"{len(faults)} of {len(served)}:\n{listed}"


def expected_request(item: Item) -> dict[str, Any]:
    """What goes to the upstream: what was recorded, and what a client adds."""
    body = {**item.arguments, "model": item.model}
    if item.asks_for_stream:
        body["stream_options"] = {**(body.get("stream_options") or {}), "include_usage": True}
    if not item.is_chat:
        body.setdefault("encoding_format", "base64")
    return body


def request_differences(item: Item, sent: dict[str, Any]) -> list[str]:
    """The bound on output tokens has one name there and another here."""
    expected = expected_request(item)
    for body in (sent, expected):
        body["max_tokens"] = body.pop("max_completion_tokens", body.get("max_tokens"))
    return [
        *differing("members", sent.keys(), expected.keys()),
        *(
            fault
            for name in expected
            for fault in differing(name, as_text(sent.get(name)), as_text(expected[name]))
        ),
    ]


# ===== the tests =====


def test_the_corpus_is_whole() -> None:
    assert len(ALL) == 1399
    assert len(STREAMS) == 192


def test_every_interaction_reads_as_the_official_sdk_reads_it(up: Upstream) -> None:
    assert_equal(ALL, replay(ALL, "whole", up))
    sent = {request.headers[ITEM]: request.json() for request in up.requests}
    faults = {item.id: found for item in ALL if (found := request_differences(item, sent[item.id]))}
    assert not faults


def test_the_blocking_client_reads_the_same_from_bodies_cut_at_random(up: Upstream) -> None:
    assert_equal(ALL, replay_blocking(ALL, "random", up))


@pytest.mark.parametrize("split", ["event", "random", "byte"])
def test_every_cut_of_a_stream_reads_the_same(up: Upstream, split: str) -> None:
    assert_equal(STREAMS, replay(STREAMS, split, up))


def test_a_stream_that_lost_its_end_raises_where_the_official_sdk_sees_nothing(up: Upstream) -> None:
    served = tuple(item for item in STREAMS if item.id not in FAIL_IN_BAND)
    for item, ours in zip(served, replay(served, "unfinished", up), strict=True):
        cut = dataclasses.replace(item, body=b"".join(unfinished(item.body, item.id)))
        theirs = official(cut)
        assert theirs.error is None
        assert type(ours.error).__name__ == "StreamTruncated", (item.id, ours.error)
        read = sdk_reading.fold(ours.chunks)
        assert ours.error.partial == (read["choices"].get(0, {}).get("text") or ""), item.id
        if ours.chunks:
            assert read == sdk_reading.fold(theirs.chunks), item.id


def test_vectors_that_were_asked_for_in_base64_read_as_lists_of_floats(up: Upstream) -> None:
    """Whatever the recorded request asked for."""
    served = tuple(item for item in EMBEDDINGS if item.status == 200)
    for item, ours in zip(served, replay(served, "whole", up, encoding_format=None), strict=True):
        expected = [entry.embedding for entry in official(item).reply.data]
        assert as_text([entry.embedding for entry in ours.reply.data]) == as_text(expected), item.id
        assert as_text([entry["embedding"] for entry in ours.reply.model_dump()["data"]]) == as_text(expected)


def test_short_replies_read_the_same_when_every_byte_is_written_by_itself(up: Upstream) -> None:
    served = tuple(item for item in ALL if len(item.body) < SHORT)
    assert len(served) > 100
    assert_equal(served, replay(served, BY_WRITE, up))


@pytest.mark.soak
@pytest.mark.parametrize("split", ["event", "byte", BY_WRITE])
def test_every_cut_of_any_body_reads_the_same(up: Upstream, split: str) -> None:
    assert_equal(ALL, replay(ALL, split, up))
