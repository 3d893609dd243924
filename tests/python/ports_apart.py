"""A process of its own with two ports to connect from. `test_faults_machine.py` runs it.

It needs root and a network namespace: `unshare -n python ports_apart.py`.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
from pathlib import Path

from fairlead.testing import Upstream, ok
from fault_table import config
from faulty import call, client, once

PORTS = Path("/proc/sys/net/ipv4/ip_local_port_range")


def main() -> None:
    """F23: while every port is taken, no connection can be opened; an open one serves on."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with Upstream() as up, contextlib.ExitStack() as taken:
        up.reply = ok("hi")
        PORTS.write_text("61000 61001")
        while True:
            try:
                taken.enter_context(socket.create_connection(("127.0.0.1", up.port)))
            except OSError:
                break
        with client(config(up.base_url)) as made:
            error = call(made).error
            assert type(error).__name__ == "ConnectError", repr(error)
            assert "no address or port left" in str(error)
            assert error.is_retryable
            assert [attempt.error for attempt in error.attempts] == ["ConnectError"] * 3
            assert not error.attempts[0].counted
            stats = made.stats()
            assert (stats["settled"], stats["input_tokens"], stats["output_tokens"]) == (3, 0, 0)
            with Upstream(host="127.0.0.2") as well:
                well.reply = ok("well")
                assert once(config(up.base_url, well.base_url)).text == "well"
            assert up.requests == []
            # A port is not free again at once: the system keeps it for a minute.
            PORTS.write_text("61000 61100")
            assert call(made).text == "hi"


if __name__ == "__main__":
    main()
