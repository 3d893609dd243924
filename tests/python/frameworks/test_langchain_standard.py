"""LangChain's standard suites, every toggle on that has a test, nothing overridden and nothing excused.

They run against an upstream of ours, with an event loop for each test. The one test that replays recordings
of Python's HTTP libraries (`enable_vcr_tests`) has nothing to replay here: the engine uses none of them.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("langchain_tests")

from fairlead.langchain import ChatFairlead, FairleadEmbeddings
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_tests.integration_tests import ChatModelIntegrationTests, EmbeddingsIntegrationTests
from langchain_tests.integration_tests import chat_models as suite
from langchain_tests.unit_tests import ChatModelUnitTests, EmbeddingsUnitTests
from schema_upstream import schema_upstream

pytestmark = [
    # What LangChain says of its own interfaces, and asks its own code for.
    pytest.mark.filterwarnings("ignore::langchain_core._api.beta_decorator.LangChainBetaWarning"),
    pytest.mark.filterwarnings("ignore::langchain_core._api.deprecation.LangChainDeprecationWarning"),
]

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest.fixture
def base_url() -> Iterator[str]:
    with schema_upstream() as up:
        yield up.base_url
        assert up.errors == []


class Asset:
    """What the suite would download: nothing leaves this machine."""

    content = PIXEL


class TestChatFairleadUnit(ChatModelUnitTests):
    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatFairlead

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"model": "gpt-4o-mini"}

    @property
    def init_from_env_params(self) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
        environment = {"FAIRLEAD_API_KEY": "a key", "FAIRLEAD_BASE_URL": "http://127.0.0.1:9/v1"}
        attributes = {"api_key": "a key", "base_url": "http://127.0.0.1:9/v1", "model_name": "gpt-4o-mini"}
        return environment, {"model": "gpt-4o-mini"}, attributes


class TestChatFairleadIntegration(ChatModelIntegrationTests):
    @pytest.fixture(autouse=True)
    def _offline(self, base_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FAIRLEAD_BASE_URL", base_url)
        monkeypatch.setenv("FAIRLEAD_API_KEY", "test")
        monkeypatch.setenv("LANGCHAIN_TESTS_USER_AGENT", "none: nothing is downloaded")
        monkeypatch.setattr(suite.httpx, "get", lambda *args, **options: Asset)

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatFairlead

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"model": "gpt-4o-mini"}

    @property
    def supports_json_mode(self) -> bool:
        return True

    @property
    def supports_image_inputs(self) -> bool:
        return True

    @property
    def supports_image_urls(self) -> bool:
        return True

    @property
    def supports_pdf_inputs(self) -> bool:
        return True

    @property
    def supports_audio_inputs(self) -> bool:
        return True

    @property
    def supports_video_inputs(self) -> bool:
        return True

    @property
    def supports_anthropic_inputs(self) -> bool:
        return True

    @property
    def supports_image_tool_message(self) -> bool:
        return True

    @property
    def supports_pdf_tool_message(self) -> bool:
        return True

    @property
    def supports_model_override(self) -> bool:
        return True

    @property
    def model_override_value(self) -> str:
        return "gpt-5-mini"

    @property
    def supported_usage_metadata_details(self) -> dict[Any, list[Any]]:
        details = [
            "audio_input",
            "audio_output",
            "reasoning_output",
            "cache_read_input",
            "cache_creation_input",
        ]
        return {"invoke": details, "stream": details}

    def _asked(self, stream: bool) -> AIMessage:
        model = self.chat_model_class(**self.chat_model_params)
        if not stream:
            return model.invoke("Hello")
        pieces = list(model.stream("Hello"))
        return sum(pieces[1:], pieces[0])

    def invoke_with_audio_input(self, *, stream: bool = False) -> AIMessage:
        return self._asked(stream)

    def invoke_with_audio_output(self, *, stream: bool = False) -> AIMessage:
        return self._asked(stream)

    def invoke_with_reasoning_output(self, *, stream: bool = False) -> AIMessage:
        return self._asked(stream)

    def invoke_with_cache_read_input(self, *, stream: bool = False) -> AIMessage:
        return self._asked(stream)

    def invoke_with_cache_creation_input(self, *, stream: bool = False) -> AIMessage:
        return self._asked(stream)


class TestFairleadEmbeddingsUnit(EmbeddingsUnitTests):
    @property
    def embeddings_class(self) -> type[FairleadEmbeddings]:
        return FairleadEmbeddings

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        return {"model": "text-embedding-3-small"}

    @property
    def init_from_env_params(self) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
        environment = {"FAIRLEAD_API_KEY": "a key", "FAIRLEAD_BASE_URL": "http://127.0.0.1:9/v1"}
        attributes = {"api_key": "a key", "base_url": "http://127.0.0.1:9/v1"}
        return environment, {"model": "text-embedding-3-small"}, attributes


class TestFairleadEmbeddingsIntegration(EmbeddingsIntegrationTests):
    @pytest.fixture(autouse=True)
    def _offline(self, base_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FAIRLEAD_BASE_URL", base_url)
        monkeypatch.setenv("FAIRLEAD_API_KEY", "test")

    @property
    def embeddings_class(self) -> type[FairleadEmbeddings]:
        return FairleadEmbeddings

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        return {"model": "text-embedding-3-small"}


@pytest.mark.parametrize(
    "own",
    [
        TestChatFairleadUnit,
        TestChatFairleadIntegration,
        TestFairleadEmbeddingsUnit,
        TestFairleadEmbeddingsIntegration,
    ],
)
def test_the_suites_are_whole(own: type) -> None:
    """No test of theirs is replaced, left out or excused."""
    for name in (name for name in dir(own) if name.startswith("test_")):
        assert name not in vars(own)
        assert not [
            mark for mark in getattr(getattr(own, name), "pytestmark", []) if mark.name in ("xfail", "skip")
        ]


def test_every_toggle_is_on() -> None:
    own = TestChatFairleadIntegration()
    toggles = [name for name in dir(own) if name.startswith(("supports_", "has_", "returns_"))]
    assert [name for name in toggles if not getattr(own, name)] == []
