"""Chat completions, whole and in chunks."""

from typing import Any, Generic, Literal, TypeVar

from ._base import BaseModel

Content = TypeVar("Content")

FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "function_call"]


class PromptTokensDetails(BaseModel):
    """What the prompt's tokens were."""

    audio_tokens: int | None
    cached_tokens: int | None
    cache_write_tokens: int | None
    image_tokens: int | None
    text_tokens: int | None


class CompletionTokensDetails(BaseModel):
    """What the answer's tokens were."""

    accepted_prediction_tokens: int | None
    audio_tokens: int | None
    reasoning_tokens: int | None
    rejected_prediction_tokens: int | None
    text_tokens: int | None


class CompletionUsage(BaseModel):
    """Tokens as the provider counted them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails | None
    completion_tokens_details: CompletionTokensDetails | None


class Function(BaseModel):
    """The function a tool call names."""

    name: str
    arguments: str


class CustomTool(BaseModel):
    """The custom tool a tool call names."""

    name: str
    input: str


class ChatCompletionMessageToolCall(BaseModel):
    """A tool the model wants called."""

    id: str
    type: str
    function: Function
    custom: CustomTool


class FunctionCall(BaseModel):
    """A function call in the form before tools."""

    name: str
    arguments: str


class URLCitation(BaseModel):
    """Where a part of the answer comes from."""

    start_index: int
    end_index: int
    title: str
    url: str


class Annotation(BaseModel):
    """A remark on a part of the answer."""

    type: str
    url_citation: URLCitation


class ChatCompletionAudio(BaseModel):
    """The answer as sound."""

    id: str
    data: str
    expires_at: int
    transcript: str


class ChatCompletionMessage(BaseModel):
    """What the model answered. It can be appended to the next request's messages as it is."""

    role: str
    content: str | None
    refusal: str | None
    annotations: list[Annotation] | None
    audio: ChatCompletionAudio | None
    function_call: FunctionCall | None
    tool_calls: list[ChatCompletionMessageToolCall] | None


class TopLogprob(BaseModel):
    """A token that could have stood here."""

    token: str
    bytes: list[int] | None
    logprob: float


class ChatCompletionTokenLogprob(BaseModel):
    """How likely a token was."""

    token: str
    bytes: list[int] | None
    logprob: float
    top_logprobs: list[TopLogprob]


class ChoiceLogprobs(BaseModel):
    """How likely the tokens of a choice were."""

    content: list[ChatCompletionTokenLogprob] | None
    refusal: list[ChatCompletionTokenLogprob] | None


class Choice(BaseModel):
    """One of the answers."""

    index: int
    finish_reason: FinishReason
    logprobs: ChoiceLogprobs | None
    message: ChatCompletionMessage


class ChatCompletion(BaseModel):
    """A whole answer."""

    id: str
    choices: list[Choice]
    created: int
    model: str
    object: Literal["chat.completion"]
    metadata: dict[str, str] | None
    moderation: Any
    service_tier: str | None
    system_fingerprint: str | None
    usage: CompletionUsage | None


class ParsedFunction(Function):
    """The function a tool call names, its arguments validated."""

    parsed_arguments: Any


class ParsedFunctionToolCall(ChatCompletionMessageToolCall):
    """A tool the model wants called, its arguments validated."""

    function: ParsedFunction


class ParsedChatCompletionMessage(ChatCompletionMessage, Generic[Content]):
    """What the model answered, validated."""

    parsed: Content | None
    tool_calls: list[ParsedFunctionToolCall] | None  # type: ignore[assignment]


class ParsedChoice(Choice, Generic[Content]):
    """One of the answers, validated."""

    message: ParsedChatCompletionMessage[Content]


class ParsedChatCompletion(ChatCompletion, Generic[Content]):
    """A whole answer, validated."""

    choices: list[ParsedChoice[Content]]  # type: ignore[assignment]


class ChoiceDeltaToolCallFunction(BaseModel):
    """A piece of a function call."""

    name: str | None
    arguments: str | None


class ChoiceDeltaToolCall(BaseModel):
    """A piece of a tool call; pieces with the same index belong together."""

    index: int
    id: str | None
    type: str | None
    function: ChoiceDeltaToolCallFunction | None


class ChoiceDelta(BaseModel):
    """What a chunk adds to a choice."""

    role: str | None
    content: str | None
    refusal: str | None
    function_call: ChoiceDeltaToolCallFunction | None
    tool_calls: list[ChoiceDeltaToolCall] | None


class ChunkChoice(BaseModel):
    """A chunk's part of one of the answers."""

    index: int
    delta: ChoiceDelta
    finish_reason: FinishReason | None
    logprobs: ChoiceLogprobs | None


class ChatCompletionChunk(BaseModel):
    """A piece of a streamed answer."""

    id: str
    choices: list[ChunkChoice]
    created: int
    model: str
    object: Literal["chat.completion.chunk"]
    moderation: Any
    obfuscation: str | None
    service_tier: str | None
    system_fingerprint: str | None
    usage: CompletionUsage | None
