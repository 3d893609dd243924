"""The clients under measure, each behind the same two calls: a whole reply and a streamed one.

Every client is used as its documentation shows, with its defaults, and the text is read as a user reads it.
Nothing is imported before the client's own `open`.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple, Protocol

REQUEST: dict[str, Any] = json.loads(Path(__file__).with_name("request.json").read_text())


class Streamed(NamedTuple):
    """What was read from one stream: its content chunks, and when the first came (`perf_counter`)."""

    chunks: int
    first_at: float


class Client(Protocol):
    """A client ready to call the upstream."""

    async def whole(self) -> str:
        """The text of one completion."""

    async def stream(self) -> Streamed:
        """One streamed completion, the text of every chunk read."""


class ChatCompletions:
    """Clients with the OpenAI SDK's surface; `create` is `chat.completions.create` or its like."""

    def __init__(self, create: Callable[..., Awaitable[Any]]) -> None:
        self.create = create

    async def whole(self) -> str:
        reply = await self.create(**REQUEST)
        return reply.choices[0].message.content

    async def stream(self) -> Streamed:
        chunks, first_at = 0, 0.0
        async for chunk in await self.create(**REQUEST, stream=True):
            if chunk.choices[0].delta.content:
                chunks += 1
                if chunks == 1:
                    first_at = perf_counter()
        return Streamed(chunks, first_at)


class LiterLlm:
    """liter-llm: typed requests, native replies."""

    def __init__(self, module: Any, base_url: str) -> None:
        self.chat, self.chat_stream = module.chat, module.chat_stream
        self.request = module.ChatCompletionRequest
        self.client = module.create_client("x", base_url, model_hint="openai")

    async def whole(self) -> str:
        reply = await self.chat(self.client, self.request(**REQUEST))
        return reply.choices[0].message.content

    async def stream(self) -> Streamed:
        chunks, first_at = 0, 0.0
        async for chunk in self.chat_stream(self.client, self.request(**REQUEST, stream=True)):
            if chunk.choices[0].delta.content:
                chunks += 1
                if chunks == 1:
                    first_at = perf_counter()
        return Streamed(chunks, first_at)


class ByHand:
    """An HTTP client with the rest written by hand: `json.loads` over the body or over every event."""

    async def post(self, body: dict[str, Any]) -> bytes:
        raise NotImplementedError

    def read(self, body: dict[str, Any]) -> AsyncIterator[bytes]:
        raise NotImplementedError

    async def whole(self) -> str:
        reply = json.loads(await self.post(REQUEST))
        return reply["choices"][0]["message"]["content"]

    async def stream(self) -> Streamed:
        chunks, first_at, buffer = 0, 0.0, b""
        async for data in self.read({**REQUEST, "stream": True}):
            *events, buffer = (buffer + data).split(b"\n\n")
            for event in events:
                if event == b"data: [DONE]":
                    continue
                if json.loads(event[len(b"data: ") :])["choices"][0]["delta"].get("content"):
                    chunks += 1
                    if chunks == 1:
                        first_at = perf_counter()
        return Streamed(chunks, first_at)


class Aiohttp(ByHand):
    """aiohttp, its limit of 100 connections lifted."""

    def __init__(self, session: Any, base_url: str) -> None:
        self.session, self.url = session, f"{base_url}/chat/completions"

    async def post(self, body: dict[str, Any]) -> bytes:
        async with self.session.post(self.url, json=body, raise_for_status=True) as reply:
            return await reply.read()

    async def read(self, body: dict[str, Any]) -> AsyncIterator[bytes]:
        async with self.session.post(self.url, json=body, raise_for_status=True) as reply:
            async for data in reply.content.iter_any():
                yield data


class Pyreqwest(ByHand):
    """pyreqwest; its read-ahead of streams is switched off, as it would delay the first token."""

    def __init__(self, client: Any, base_url: str) -> None:
        self.client, self.url = client, f"{base_url}/chat/completions"

    async def post(self, body: dict[str, Any]) -> bytes:
        reply = await self.client.post(self.url).body_json(body).build().send()
        return bytes(await reply.bytes())

    async def read(self, body: dict[str, Any]) -> AsyncIterator[bytes]:
        request = self.client.post(self.url).body_json(body).streamed_read_buffer_limit(0)
        async with request.build_streamed() as reply:
            while (data := await reply.body_reader.read_chunk()) is not None:
                yield bytes(data)


@asynccontextmanager
async def open_fairlead(base_url: str) -> AsyncIterator[Client]:
    import fairlead

    yield ChatCompletions(fairlead.AsyncClient(api_key="x", base_url=base_url).chat.completions.create)


@asynccontextmanager
async def open_openai(base_url: str) -> AsyncIterator[Client]:
    from openai import AsyncOpenAI

    async with AsyncOpenAI(api_key="x", base_url=base_url, max_retries=0) as client:
        yield ChatCompletions(client.chat.completions.create)


@asynccontextmanager
async def open_litellm(base_url: str) -> AsyncIterator[Client]:
    from litellm import Router

    model = REQUEST["model"]
    deployment = {"model": f"openai/{model}", "api_key": "x", "api_base": base_url}
    router = Router([{"model_name": model, "litellm_params": deployment}], num_retries=0)
    yield ChatCompletions(router.acompletion)


@asynccontextmanager
async def open_liter_llm(base_url: str) -> AsyncIterator[Client]:
    import liter_llm

    yield LiterLlm(liter_llm, base_url)


@asynccontextmanager
async def open_aiohttp(base_url: str) -> AsyncIterator[Client]:
    import aiohttp

    headers = {"authorization": "Bearer x"}
    async with aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=0)) as session:
        yield Aiohttp(session, base_url)


@asynccontextmanager
async def open_pyreqwest(base_url: str) -> AsyncIterator[Client]:
    from pyreqwest.client import ClientBuilder

    builder = ClientBuilder().default_headers({"authorization": "Bearer x"}).error_for_status()
    async with builder.build() as client:
        yield Pyreqwest(client, base_url)


class Entry(NamedTuple):
    """A client's row: its title, its distribution, what a user imports, and how it is opened."""

    title: str
    distribution: str
    imports: str
    open: Callable[[str], AbstractAsyncContextManager[Client]]


CLIENTS = {
    "fairlead": Entry("fairlead", "fairlead", "import fairlead", open_fairlead),
    "pyreqwest": Entry("pyreqwest", "pyreqwest", "import pyreqwest.client", open_pyreqwest),
    "aiohttp": Entry("aiohttp + json.loads", "aiohttp", "import aiohttp", open_aiohttp),
    "liter-llm": Entry("liter-llm", "liter-llm", "import liter_llm", open_liter_llm),
    "openai": Entry("AsyncOpenAI", "openai", "from openai import AsyncOpenAI", open_openai),
    "litellm": Entry("litellm.Router", "litellm", "from litellm import Router", open_litellm),
}
