"""A process of its own, whose names a server of ours resolves. `test_faults_names.py` runs it.

It needs root and a mount namespace: `unshare -m python names_apart.py SCENE`.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import fairlead
from fairlead.testing import Upstream, faults, ok
from fault_table import config
from faulty import acall, call

SERVER = "127.0.0.153"
NAME = "service.test"
HEADER = struct.Struct("!6H")
FOUND, MISSING = 0x8180, 0x8183


class NameServer:
    """Answers A and AAAA questions from `addresses`, with a time to live of zero."""

    def __init__(self) -> None:
        self.addresses: list[str] = []
        self.asked = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((SERVER, 53))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            question, client = self._socket.recvfrom(512)
            self._socket.sendto(self._answer(question), client)

    def _answer(self, question: bytes) -> bytes:
        self.asked += 1
        number = HEADER.unpack_from(question)[0]
        name_end = question.index(0, HEADER.size) + 1
        (kind,) = struct.unpack_from("!H", question, name_end)
        asked = question[HEADER.size : name_end + 4]
        known = [ipaddress.ip_address(address) for address in self.addresses]
        records = [known.packed for known in known if kind == (1 if known.version == 4 else 28)]
        is_ours = NAME.encode().split(b".")[0] in asked
        head = HEADER.pack(number, FOUND if is_ours else MISSING, 1, len(records) * is_ours, 0, 0)
        bodies = [struct.pack("!HHHIH", 0xC00C, kind, 1, 0, len(record)) + record for record in records]
        return head + asked + b"".join(bodies) * is_ours


def resolve_with_ours() -> NameServer:
    folder = Path(tempfile.mkdtemp())
    for path, text in [
        ("/etc/resolv.conf", f"nameserver {SERVER}\noptions timeout:1\n"),
        ("/etc/nsswitch.conf", "hosts: dns\n"),
    ]:
        ours = folder / Path(path).name
        ours.write_text(text)
        subprocess.run(["mount", "--bind", str(ours), path], check=True)
    return NameServer()


def rolling_change() -> None:
    """F04, N4: the name moves to another host; while the old one drains no call fails."""
    names = resolve_with_ours()
    names.addresses = ["127.0.0.1"]
    old = Upstream().start()
    new = Upstream(host="127.0.0.2", port=old.port).start()
    old.reply, new.reply = ok("old"), ok("new")
    made = fairlead.AsyncClient(config(f"http://{NAME}:{old.port}/v1", pool={"max_age": 0.2}))
    outcomes = []

    async def keep_calling(until: float) -> None:
        while time.monotonic() < until:
            outcomes.append(await acall(made))
            await asyncio.sleep(0.002)

    async def run() -> None:
        callers = [asyncio.ensure_future(keep_calling(time.monotonic() + 2.5)) for _ in range(8)]
        await asyncio.sleep(0.5)
        names.addresses = ["127.0.0.2"]
        await asyncio.sleep(1.0)
        await asyncio.to_thread(old.close)
        await asyncio.gather(*callers)

    asyncio.run(run())
    assert [outcome.error for outcome in outcomes if outcome.error] == []
    assert {outcome.text for outcome in outcomes} == {"old", "new"}
    assert all(len(outcome.receipt.attempts) == 1 for outcome in outcomes)
    new.close()


def dead_address() -> None:
    """F05: the first address of a name swallows connections; the second serves."""
    names = resolve_with_ours()
    with faults.black_hole() as nobody:
        port = int(nobody.rpartition(":")[2].partition("/")[0])
        with Upstream(host="127.0.0.2", port=port) as up:
            up.reply = ok("alive")
            names.addresses = ["127.0.0.1", "127.0.0.2"]
            with fairlead.Client(config(f"http://{NAME}:{port}/v1")) as made:
                outcome = call(made)
        assert outcome.text == "alive"
        assert outcome.receipt.timings.connect < 0.3 + 1.0
        assert len(outcome.receipt.attempts) == 1


def missing_name() -> None:
    """F03: the server says that the name does not exist, and is asked again later."""
    names = resolve_with_ours()
    with Upstream(host="127.0.0.1") as up:
        up.reply = ok("found")
        with fairlead.Client(config(f"http://{NAME}:{up.port}/v1", retry={"max_retries": 0})) as made:
            assert type(call(made).error).__name__ == "DnsError"
            names.addresses = ["127.0.0.1"]
            assert call(made).text == "found"


SCENES = {scene.__name__: scene for scene in (rolling_change, dead_address, missing_name)}

if __name__ == "__main__":
    SCENES[sys.argv[1]]()
