"""OpenTelemetry's instrumentation of the SDK sees the calls: it patches the SDK's classes, which ours are."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from fairlead.openai import AsyncOpenAI, OpenAI
from fairlead.testing import Upstream, fail, ok, stream
from fault_table import config
from openai_twin import MESSAGES, text_of
from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrumentor = OpenAIInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    yield exporter
    instrumentor.uninstrument()
    provider.shutdown()


def test_a_call_is_one_span_over_all_its_attempts(up: Upstream, spans: InMemorySpanExporter) -> None:
    up.at("sick").reply = fail(500)
    up.at("well").reply = ok("Hello")
    client = OpenAI(config(up.url("sick"), up.url("well")))
    assert client.chat.completions.create(model="m", messages=MESSAGES).choices[0].message.content == "Hello"
    (span,) = spans.get_finished_spans()
    said: Any = span.attributes
    assert span.name == "chat m"
    assert said["gen_ai.request.model"] == "m"
    assert said["gen_ai.response.model"] == "up-1"
    assert said["gen_ai.usage.output_tokens"] == 1
    assert tuple(said["gen_ai.response.finish_reasons"]) == ("stop",)
    assert span.status.is_ok or span.status.status_code.name == "UNSET"


def test_a_stream_and_an_asynchronous_call_are_spans(up: Upstream, spans: InMemorySpanExporter) -> None:
    up.script = [stream("a b"), stream("a b"), ok("Hello")]
    client = OpenAI(api_key="test", base_url=up.base_url)
    assert text_of(list(client.chat.completions.create(model="m", messages=MESSAGES, stream=True))) == "a b"

    async def main() -> None:
        loop = AsyncOpenAI(api_key="test", base_url=up.base_url)
        chunks = await loop.chat.completions.create(model="m", messages=MESSAGES, stream=True)
        assert text_of([chunk async for chunk in chunks]) == "a b"
        await loop.chat.completions.create(model="m", messages=MESSAGES)

    asyncio.run(main())
    finished = spans.get_finished_spans()
    assert [span.name for span in finished] == ["chat m"] * 3


def test_a_failure_is_told_by_the_sdks_class(up: Upstream, spans: InMemorySpanExporter) -> None:
    up.reply = fail(429, retry_after=100)
    client = OpenAI(api_key="test", base_url=up.base_url)
    with pytest.raises(openai.RateLimitError):
        client.chat.completions.create(model="m", messages=MESSAGES)
    (span,) = spans.get_finished_spans()
    assert span.status.status_code.name == "ERROR"
    assert span.attributes is not None
    assert "RateLimitError" in str(span.attributes["error.type"])


def test_embeddings_are_spans(up: Upstream, spans: InMemorySpanExporter) -> None:
    OpenAI(api_key="test", base_url=up.base_url).embeddings.create(model="e", input="a")
    assert [span.name for span in spans.get_finished_spans()] == ["embeddings e"]
