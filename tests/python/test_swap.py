"""Scripts written for the OpenAI SDK work when two of their lines are changed."""

from __future__ import annotations

from typing import Any

import fairlead
import pytest
from fairlead.testing import Upstream

MESSAGES = [{"role": "user", "content": "Hello there"}]


@pytest.mark.parametrize("asked", [None, False, True])
def test_a_chunk_without_choices_comes_only_when_usage_was_asked_for(asked: bool | None) -> None:
    options: dict[str, Any] = {} if asked is None else {"stream_options": {"include_usage": asked}}
    with Upstream() as up, fairlead.Client(api_key="k", base_url=up.base_url) as client:
        with client.chat.completions.create(model="m", messages=MESSAGES, stream=True, **options) as stream:
            chunks = list(stream)
        assert [chunk.usage is not None for chunk in chunks if not chunk.choices] == [True] * bool(asked)
        assert (
            "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
            == "Hello there"
        )
        assert stream.fairlead.usage is not None
        assert not stream.fairlead.usage.estimated
