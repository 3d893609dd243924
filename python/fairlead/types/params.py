"""The keyword arguments of requests.

Providers know more of them than are listed here. Whatever is passed is sent: these types only help editors.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, Required, TypedDict

from ..options import NotGiven, Options, Timeout
from .openrouter import Plugin, ProviderPreferences, Reasoning

Message = Mapping[str, Any] | Any
"""A message: a dict, or an object of a reply or of an SDK."""


class RequestOptions(TypedDict, total=False):
    """What goes with any request but is not part of its body."""

    extra_headers: Mapping[str, Any]
    """Headers to send; `None` removes one."""
    extra_query: Mapping[str, Any]
    """Added to the URL."""
    extra_body: Mapping[str, Any] | None
    """Members that are added to the body, or replace its own."""
    timeout: float | Timeout | NotGiven | Any | None
    """Limits of an attempt in seconds."""
    fairlead: Options | None
    """Options that are ours."""


class VerbOptions(RequestOptions, total=False):
    """What goes with `client.get`, `client.post` and their kin."""

    cast_to: Any
    """What becomes of the answer; `AsyncClient.get` tells what it may be."""
    options: Mapping[str, Any] | None
    """`headers`, `params`, `extra_json` and `timeout`, as the OpenAI SDK takes them."""


class ParseParams(RequestOptions, total=False):
    """The arguments of `chat.completions.parse`, but `response_format`."""

    messages: Required[Iterable[Message]]
    model: str
    audio: Mapping[str, Any] | None
    frequency_penalty: float | None
    function_call: Any
    functions: Iterable[Mapping[str, Any]]
    logit_bias: Mapping[str, int] | None
    logprobs: bool | None
    max_completion_tokens: int | None
    max_output_tokens: int | None
    max_tokens: int | None
    metadata: Mapping[str, str] | None
    modalities: list[str] | None
    models: list[str]
    moderation: Any
    n: int | None
    parallel_tool_calls: bool
    plugins: list[Plugin]
    prediction: Mapping[str, Any] | None
    presence_penalty: float | None
    prompt_cache_key: str
    prompt_cache_options: Mapping[str, Any]
    prompt_cache_retention: str | None
    provider: ProviderPreferences
    reasoning: Reasoning | Mapping[str, Any] | None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None
    safety_identifier: str
    seed: int | None
    service_tier: str | None
    session_id: str
    stop: str | list[str] | None
    store: bool | None
    stream_options: Mapping[str, Any] | None
    temperature: float | None
    tool_choice: Any
    tools: Iterable[Any]
    """Dicts, or tools made by `fairlead.tool`; `parse` takes pydantic classes too."""
    top_k: int | None
    top_logprobs: int | None
    top_p: float | None
    user: str
    verbosity: Literal["low", "medium", "high"] | None
    web_search_options: Mapping[str, Any]


class ChatParams(ParseParams, total=False):
    """The arguments of `chat.completions.create`, but `stream`."""

    response_format: Mapping[str, Any]


class CommonParams(RequestOptions, total=False):
    """What `generate`, `stream`, `generate_structured` and `run_tools` send besides model and messages."""

    frequency_penalty: float | None
    logit_bias: Mapping[str, int] | None
    max_completion_tokens: int | None
    max_output_tokens: int | None
    max_tokens: int | None
    metadata: Mapping[str, str] | None
    models: list[str]
    plugins: list[Plugin]
    presence_penalty: float | None
    provider: ProviderPreferences
    reasoning: Reasoning | Mapping[str, Any] | None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None
    seed: int | None
    service_tier: str | None
    session_id: str
    stop: str | list[str] | None
    temperature: float | None
    top_k: int | None
    top_p: float | None
    user: str
    verbosity: Literal["low", "medium", "high"] | None


class TextParams(CommonParams, total=False):
    """The arguments of `generate` and `stream`, but the model and the messages."""

    response_format: Mapping[str, Any]


class ToolParams(TextParams, total=False):
    """The arguments of `run_tools` that are sent, but the model, the messages and the tools."""

    parallel_tool_calls: bool
    tool_choice: Any
    """Holds for the first turn where it forces a tool."""


class BatchParams(TextParams, total=False):
    """The arguments that all requests of `batch` have in common."""

    model: str
    messages: str | Iterable[Message]
    """For requests that differ in something else."""
    tools: Iterable[Any]
    tool_choice: Any
    dimensions: int
    """Of `embeddings.create`."""
    encoding_format: Literal["float", "base64"]
    """Likewise."""


class StructuredParams(CommonParams, total=False):
    """The arguments of `generate_structured` and its kin, but the model, the messages and the schema."""

    mode: Literal["auto", "json_schema", "tool", "prompt"]
    """How the model is asked. Default: `auto`, the best way that it is not known to refuse."""
    repairs: int
    """How often the model may mend an answer that does not fit, 0 to 10; each is a call under the same
    deadline and budget. Default: 1."""
    strict: bool | None
    """Is the service to hold the answer to the schema? Default: where strict mode can say it."""
    name: str | None
    """What the schema is called in requests. Default: its own name."""


class EmbeddingParams(RequestOptions, total=False):
    """The arguments of `embeddings.create`."""

    input: Required[str | Iterable[str] | Iterable[int] | Iterable[Iterable[int]]]
    model: str
    dimensions: int
    encoding_format: Literal["float", "base64"]
    user: str
