"""A batch that was stopped goes on where it was."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import fairlead
import pytest
from fairlead import Client, Results
from fairlead.testing import Request, Step, Upstream, fail, ok

SECRET = "sk-very-secret"


def client_of(up: Upstream, **options: Any) -> Client:
    return Client(api_key=SECRET, base_url=up.base_url, **options)


def prompt_of(request: Request) -> str:
    prompt: str = request.json()["messages"][-1]["content"]
    return prompt


def run(up: Upstream, prompts: list[Any], journal: Path, **options: Any) -> Results:
    with client_of(up, max_retries=0) as client:
        return client.batch(prompts, model="m", journal=journal, **options)


def asked(up: Upstream) -> list[str]:
    """The prompts since the last look."""
    prompts = [prompt_of(request) for request in up.requests]
    up.requests.clear()
    return sorted(prompts)


def test_what_is_answered_is_not_asked_again(up: Upstream, tmp_path: Path) -> None:
    journal = tmp_path / "run.jsonl"
    first = run(up, ["a", "b"], journal)
    assert asked(up) == ["a", "b"]
    second = run(up, ["a", "b", "c"], journal)
    assert asked(up) == ["c"]
    assert [result.text for result in second] == ["a", "b", "c"]
    assert [result.restored for result in second] == [True, True, False]
    assert second[0].value == first[0].value
    assert second.summary.restored == 2
    assert second.summary.input_tokens == 3 * first[0].input_tokens
    assert run(up, ["a", "b", "c"], journal).ok
    assert asked(up) == []


def test_vectors_are_restored(up: Upstream, tmp_path: Path) -> None:
    journal = tmp_path / "run.jsonl"
    vectors = [run(up, [{"input": "x"}], journal)[0].value.data[0].embedding for _ in range(2)]
    assert list(vectors[0]) == list(vectors[1])
    assert len(up.requests) == 1


def test_a_request_that_changed_is_asked_again(up: Upstream, tmp_path: Path) -> None:
    journal = tmp_path / "run.jsonl"
    run(up, ["a", "b"], journal)
    asked(up)
    changed = run(up, ["a", "B"], journal)
    assert (asked(up), [result.text for result in changed]) == (["B"], ["a", "B"])
    run(up, ["a", "B"], journal, temperature=0.5)
    assert asked(up) == ["B", "a"], "an argument of all is one of each"


class Unreadable:
    """Messages of an application's own."""

    def __iter__(self) -> Any:
        raise LookupError("they are gone")


BAD: dict[str, Any] = {
    "an object": {"messages": [{"role": "user", "content": object()}]},
    "no number": {"messages": "x", "temperature": float("nan")},
    "no name": {"messages": "x", 3: 4},
    "a lone surrogate": {"messages": "\ud800"},
    "no messages": {"temperature": 1},
    "unreadable": Unreadable(),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
@pytest.mark.parametrize("kept", [True, False])
def test_a_request_that_cannot_be_sent_fails_alone(
    bad: Any, kept: bool, up: Upstream, tmp_path: Path
) -> None:
    journal = tmp_path / "run.jsonl" if kept else None
    for _ in range(2):
        with client_of(up) as client:
            results = client.batch(["a", bad, "b"], model="m", journal=journal)
        assert [result.ok for result in results] == [True, False, True]
    assert asked(up) == (["a", "b"] if kept else ["a", "a", "b", "b"])


def test_messages_that_can_be_read_once_are_restored_too(up: Upstream, tmp_path: Path) -> None:
    for _ in range(2):
        once = iter([{"role": "user", "content": "a"}])
        assert run(up, [{"messages": once}], tmp_path / "run.jsonl").ok
    assert asked(up) == ["a"]


def test_options_without_a_json_form_do_not_matter(up: Upstream, tmp_path: Path) -> None:
    for _ in range(2):
        request = {"messages": "a", "fairlead": {"metadata": {"what": object()}}}
        assert run(up, [request], tmp_path / "run.jsonl").ok
    assert asked(up) == ["a"]


def test_what_failed_is_asked_again_unless_its_error_is_wanted(up: Upstream, tmp_path: Path) -> None:
    journal = tmp_path / "run.jsonl"
    up.reply = lambda request: fail(400, "not today") if prompt_of(request) == "bad" else ok("good")
    run(up, ["bad", "b"], journal)
    asked(up)
    kept = run(up, ["bad", "b"], journal, retry_failed=False)
    assert asked(up) == []
    assert isinstance(kept[0].error, fairlead.BadRequestError)
    assert "not today" in str(kept[0].error)
    up.reply = ok("good")
    again = run(up, ["bad", "b"], journal)
    assert (asked(up), again.ok) == (["bad"], True)
    assert run(up, ["bad", "b"], journal, retry_failed=False).ok, "the last line holds"


def test_neither_keys_nor_prompts_are_written(up: Upstream, tmp_path: Path) -> None:
    journal = tmp_path / "run.jsonl"
    up.reply = lambda request: fail(400, "no") if prompt_of(request) == "my prompt 1" else ok("an answer")
    ours = {"api_key": SECRET, "user": "u"}
    prompts = [{"messages": f"my prompt {number}", "fairlead": ours} for number in range(3)]
    run(up, prompts, journal, extra_headers={"x-secret": SECRET})
    written = journal.read_text(encoding="utf-8")
    assert "an answer" in written
    assert SECRET not in written
    assert "my prompt" not in written
    asked(up)
    others = [{**prompt, "fairlead": {"api_key": "another", "user": "u"}} for prompt in prompts]
    run(up, others, journal)
    assert asked(up) == ["my prompt 1"], "with another key it is the same request"


@pytest.mark.parametrize("torn", [1, 10, 60])
def test_a_line_that_a_crash_tore_off_is_cut_away(up: Upstream, tmp_path: Path, torn: int) -> None:
    journal = tmp_path / "run.jsonl"
    run(up, ["a", "b", "c"], journal, concurrency=1)
    asked(up)
    whole = journal.read_bytes()
    journal.write_bytes(whole[:-torn])
    assert run(up, ["a", "b", "c"], journal).ok
    assert asked(up) == ["c"]
    assert len(journal.read_bytes().splitlines()) == 4
    assert all(json.loads(line) for line in journal.read_bytes().splitlines())


def test_a_file_that_is_no_journal_is_refused_and_left_alone(up: Upstream, tmp_path: Path) -> None:
    for content in ('{"a": 1}\n', "notes\n", '{"fairlead_batch": 1}\n{"index": "x"}\n'):
        journal = tmp_path / "run.jsonl"
        journal.write_text(content, encoding="utf-8")
        with pytest.raises(fairlead.ConfigError, match=r"line \d of .*run\.jsonl"):
            run(up, ["a"], journal)
        assert journal.read_text(encoding="utf-8") == content
    with pytest.raises(OSError, match=r"nowhere"):
        run(up, ["a"], tmp_path / "nowhere" / "run.jsonl")
    assert up.requests == []


def test_two_runs_do_not_write_one_journal(up: Upstream, tmp_path: Path) -> None:
    journal = tmp_path / "run.jsonl"
    with client_of(up) as client:
        results = client.batch_iter(["a"] * 5, model="m", journal=journal)
        next(results)
        with pytest.raises(fairlead.ConfigError, match="another"):
            client.batch(["a"], model="m", journal=journal)
        results.close()  # type: ignore[attr-defined]
        assert client.batch(["a"] * 5, model="m", journal=journal).ok


RUN = """
import sys, fairlead
base_url, journal = sys.argv[1:]
client = fairlead.Client(api_key="k", base_url=base_url)
client.batch([f"p{n}" for n in range(200)], model="m", journal=journal, concurrency=4)
"""


@pytest.mark.parametrize("signalled", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_was_killed_goes_on_where_it_was(
    up: Upstream, tmp_path: Path, signalled: signal.Signals
) -> None:
    def answer(request: Request) -> Step:
        return ok(prompt_of(request)).after(0.01)

    up.reply = answer
    journal = tmp_path / "run.jsonl"
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, up.base_url, os.fspath(journal)], stderr=subprocess.PIPE
    )
    deadline = time.monotonic() + 30
    while not journal.exists() or len(journal.read_bytes().splitlines()) < 40:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signalled)
    _, told = process.communicate(timeout=30)
    assert process.returncode != 0
    assert (b"KeyboardInterrupt" in told) == (signalled == signal.SIGINT)
    assert up.wait_idle()
    before = len(asked(up))
    prompts = [f"p{number}" for number in range(200)]
    results = run(up, prompts, journal)
    assert [result.text for result in results] == prompts
    after = len(asked(up))
    assert results.summary.restored == 200 - after
    # Only what was in flight is asked twice.
    assert 200 <= before + after <= 204 + 4
