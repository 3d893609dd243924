"""What a call and a streamed chunk cost through LangChain: ChatFairlead beside ChatOpenAI, in one process.

    python benchmarks/langchain_cost.py

CPU time of the whole process, all threads (`time.process_time`), against one local upstream in a process of
its own. The models take turns; the table shows the median of the rounds. The floor is a chat model that
returns a constant: what LangChain itself takes. Needs the packages of the `test` extra; compare figures of a
release build only. Ends with 1 when ChatFairlead misses its bar.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

MESSAGES = json.loads(Path(__file__).with_name("request.json").read_text())["messages"]
WORDS = 150
"""Words of a whole answer."""
CHUNKS = 500
"""Content chunks of a stream."""
CALLS = 50
"""Calls in a round, one after the other."""
ROUNDS = 15
CALL_BAR, CHUNK_BAR = 5, 10
"""How many times cheaper than ChatOpenAI a call and a chunk have to be."""


class Constant(BaseChatModel):
    """LangChain with nothing behind it."""

    @property
    def _llm_type(self) -> str:
        return "constant"

    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage(content="word " * WORDS))])

    async def _agenerate(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> Any:
        return self._generate()

    async def _astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[ChatGenerationChunk]:
        for _ in range(CHUNKS):
            yield ChatGenerationChunk(message=AIMessageChunk(content="word "))


def serve(address: Any) -> None:
    """The upstream's process: answers until it is ended."""
    from fairlead.testing import Upstream, ok, stream

    whole, pieces = ok("word " * WORDS), stream(["word "] * CHUNKS)
    with Upstream() as upstream:
        upstream.reply = lambda request: pieces if request.fields.get("stream") else whole
        address.send(upstream.base_url)
        address.recv()


async def call_cost(model: BaseChatModel) -> float:
    """Microseconds of CPU for one call."""
    began = process_time()
    for _ in range(CALLS):
        reply = await model.ainvoke(MESSAGES)
        assert reply.text
    return (process_time() - began) / CALLS * 1e6


async def chunk_cost(model: BaseChatModel) -> float:
    """Microseconds of CPU for one chunk of a stream; what its start and end cost is shared among them."""
    began, seen = process_time(), 0
    async for chunk in model.astream(MESSAGES):
        seen += bool(chunk.text)
    assert seen == CHUNKS, seen
    return (process_time() - began) / CHUNKS * 1e6


async def measure(models: dict[str, BaseChatModel]) -> dict[str, tuple[float, float]]:
    """The median costs of a call and of a chunk, by model."""
    rounds: dict[str, list[tuple[float, float]]] = {name: [] for name in models}
    for _ in range(ROUNDS + 1):
        for name, model in models.items():
            rounds[name].append((await call_cost(model), await chunk_cost(model)))
    # The first round opens connections and warms caches.
    return {
        name: (median(call for call, _ in costs[1:]), median(chunk for _, chunk in costs[1:]))
        for name, costs in rounds.items()
    }


def report(costs: dict[str, tuple[float, float]]) -> bool:
    """Print the table; is ChatFairlead within its bars?"""
    print(f"{'':16}{'ainvoke':>12}{'astream, a chunk':>20}")
    for name, (call, chunk) in costs.items():
        print(f"{name:16}{call:>9.0f} us{chunk:>17.1f} us")
    (call, chunk), (their_call, their_chunk) = costs["ChatFairlead"], costs["ChatOpenAI"]
    print(f"ChatOpenAI costs {their_call / call:.1f} times as much a call (bar: {CALL_BAR}),")
    print(f"and {their_chunk / chunk:.1f} times as much a chunk (bar: {CHUNK_BAR}).")
    return their_call / call >= CALL_BAR and their_chunk / chunk >= CHUNK_BAR


def main() -> int:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs,))
    process.start()
    try:
        from fairlead.langchain import ChatFairlead
        from langchain_openai import ChatOpenAI

        url = ours.recv()
        models: dict[str, BaseChatModel] = {
            "floor": Constant(),
            "ChatFairlead": ChatFairlead(model="m", api_key="x", base_url=url),
            "ChatOpenAI": ChatOpenAI(model="m", api_key="x", base_url=url, max_retries=0),
        }
        return 0 if report(asyncio.run(measure(models))) else 1
    finally:
        ours.send(None)
        process.join()


if __name__ == "__main__":
    sys.exit(main())
