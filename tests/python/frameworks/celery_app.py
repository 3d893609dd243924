"""A Celery application whose client is made at import, for parent and children. `test_celery.py` runs it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import fairlead
from celery import Celery
from celery.signals import worker_init

FOLDER = Path(os.environ["CELERY_FOLDER"])

app = Celery("app", broker="filesystem://", backend=f"file://{FOLDER}/results")
app.conf.broker_transport_options = {
    "data_folder_in": f"{FOLDER}/queue",
    "data_folder_out": f"{FOLDER}/queue",
    "control_folder": f"{FOLDER}/control",
}
app.conf.worker_hijack_root_logger = False

client = fairlead.Client()
async_client = fairlead.AsyncClient()


@worker_init.connect
def before_the_fork(**_: Any) -> None:
    """The parent has called, so its connections and threads exist when it forks."""
    assert client.generate("m", "before") == "before"


@app.task
def ask(prompt: str) -> list[Any]:
    """By both doors, and where."""
    awaited = asyncio.run(async_client.generate("m", prompt))
    return [client.generate("m", prompt), awaited, os.getpid()]
