"""The example application as a whole: under real servers, through a drain, and in a browser."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from serving import LONGEST, PROJECT, Launched, events_in, free_port, launched, stream_of, text_in

APP = "examples.fastapi_app:app"
QUESTION = {"messages": [{"role": "user", "content": "What is a fairlead?"}]}

SERVERS = {
    "the example": ["examples/fastapi_app.py", "--port"],
    "uvicorn": ["-m", "uvicorn", APP, "--log-level", "warning", "--port"],
    "granian": ["-m", "granian", "--interface", "asgi", "--workers", "2", APP, "--port"],
    "gunicorn": ["-m", "gunicorn", "-k", "asgi", "--workers", "2", APP, "--bind"],
    "gunicorn --preload": ["-m", "gunicorn", "-k", "asgi", "--workers", "2", "--preload", APP, "--bind"],
}


def server(name: str) -> Any:
    port = free_port()
    place = f"127.0.0.1:{port}" if "gunicorn" in name else str(port)
    return launched([*SERVERS[name], place], port)


def answered(body: bytes) -> bool:
    """Is it a whole answer?"""
    events = events_in(body)
    return events[-1:] == ["[DONE]"] and text_in(events).endswith("little friction on the way.")


@pytest.mark.parametrize("name", SERVERS)
def test_the_application_answers_under(name: str) -> None:
    with server(name) as running:
        bodies = asyncio.run(_several(running.port, 6))
        assert all(answered(body) for body in bodies), bodies[0][-500:]
        with httpx.Client(base_url=running.url, timeout=LONGEST, trust_env=False) as http:
            told = http.post("/chat", json={"message": "hi", "user_id": "ann"}).json()
            assert told["success"]
            assert "fairlead is a fitting" in told["response"]
            assert "<title>fairlead chat</title>" in http.get("/").text
        running.terminate()
        # uvicorn ends by the signal itself, once it has drained.
        ends = (0, -signal.SIGTERM) if name == "uvicorn" else (0,)
        assert running.process.wait(LONGEST) in ends, running.output()


async def _several(port: int, count: int) -> list[bytes]:
    users = (stream_of(port, "/stream", QUESTION, x_user_id=f"user-{n}") for n in range(count))
    return await asyncio.gather(*users)


def test_each_user_has_limits_of_their_own() -> None:
    with (
        server("the example") as running,
        httpx.Client(base_url=running.url, timeout=LONGEST, trust_env=False) as http,
    ):

        def status(user: str) -> int:
            return http.post("/chat", json={"message": "hi"}, headers={"x-user-id": user}).status_code

        assert [status("ann") for _ in range(9)] == [200] * 8 + [429]
        assert status("bob") == 200


@pytest.mark.parametrize("name", ["the example", "granian", "gunicorn"])
def test_sigterm_under_load_lets_running_answers_end(name: str) -> None:
    async def load(running: Launched) -> list[bytes]:
        asked = asyncio.create_task(_several(running.port, 40))
        await asyncio.sleep(0.6)
        assert not asked.done()
        running.terminate()
        return await asked

    with server(name) as running:
        bodies = asyncio.run(load(running))
        cut = [body for body in bodies if not answered(body)]
        assert cut == [], (len(cut), cut[0][-300:])
        assert running.process.wait(LONGEST) == 0, running.output()


# ===== the page =====


@pytest.fixture
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        pytest.skip("no Chromium on this machine")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """The page of the example, fresh."""
    with server("the example") as running:
        context = browser.new_context(viewport={"width": 900, "height": 700})
        page = context.new_page()
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(running.url)
        yield page
        context.close()
        assert faults == []


def ask(page: Any, question: str) -> None:
    page.get_by_label("Message").fill(question)
    page.get_by_role("button", name="Send").click()


def test_the_page_shows_an_answer_as_it_grows(page: Any, tmp_path: Path) -> None:
    ask(page, "What is a fairlead?")
    answer = page.locator(".assistant").last
    answer.wait_for()
    lengths = set()
    deadline = time.monotonic() + LONGEST
    while answer.get_attribute("aria-busy") == "true":
        lengths.add(len(answer.inner_text()))
        assert time.monotonic() < deadline
    assert len(lengths) > 5, "it came piece by piece"
    assert answer.inner_text().rstrip("▍").endswith("little friction on the way.")
    ask(page, "And in Chinese: 导缆孔 <b>bold</b>?")
    page.get_by_text("导缆孔 <b>bold</b>?").first.wait_for()
    page.screenshot(path=tmp_path / "page.png")
    assert page.locator(".error").count() == 0


def test_the_page_tells_what_went_wrong(page: Any) -> None:
    ask(page, "Please break.")
    alarm = page.get_by_role("alert")
    alarm.wait_for()
    assert len(alarm.inner_text()) > 10
    assert page.locator(".assistant").last.inner_text() != "", "what had come stays"
    for _ in range(8):
        ask(page, "again")
        page.wait_for_function("document.getElementById('send').textContent === 'Send'")
    assert "Try again in" in page.get_by_role("alert").last.inner_text()


def test_the_page_stops_an_answer_and_begins_anew(page: Any) -> None:
    ask(page, "What is a fairlead?")
    page.locator(".assistant").last.wait_for()
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("Stopped.").wait_for()
    page.get_by_role("button", name="New chat").click()
    assert page.locator(".said").count() == 0


def test_the_page_is_named_and_labelled(page: Any) -> None:
    assert page.title() == "fairlead chat"
    assert page.get_by_role("heading", level=1).count() == 1
    assert page.get_by_role("log").count() == 1
    page.get_by_label("Message").press("Enter")
    assert page.locator(".said").count() == 0, "nothing is sent for nothing"


def test_the_example_says_what_it_can_do() -> None:
    import sys

    done = subprocess.run(
        [sys.executable, "examples/fastapi_app.py", "--help"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "--port" in done.stdout
