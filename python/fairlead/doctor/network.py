"""Between here and a host: its name, a connection, its certificate; and the proxies of the environment."""

from __future__ import annotations

import os
import socket
import ssl
import time
from datetime import UTC, datetime
from urllib.parse import urlsplit

from .places import Place
from .report import Report

SLOW_CONNECT = 1.0
"""Seconds after which a connection is called slow."""

SOON = 14
"""Days before its end from which on a certificate is told of."""

PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")


def look_at_proxies(report: Report) -> None:
    """Proxies that the environment names."""
    named = [name for name in PROXIES if os.environ.get(name)]
    if named:
        report.add(
            "",
            "proxy",
            "note",
            f"{', '.join(named)} is set; fairlead does not read it",
            'where the proxy is needed, say it in the configuration: `proxy = "http://..."`',
        )


def look(report: Report, place: Place, url: str, timeout: float) -> bool:
    """Look at the way to `url`; returns whether a request could get through."""
    parts = urlsplit(url)
    host, is_secure = parts.hostname or "", parts.scheme == "https"
    if not host or parts.scheme not in ("http", "https"):
        return True
    addresses = _resolve(report, place, host, parts.port or (443 if is_secure else 80))
    if not addresses:
        return False
    accepted = _connect(report, place, host, addresses, timeout)
    if accepted is None:
        return False
    with accepted:
        if is_secure:
            _certificate(report, place, host, accepted)
        elif not _is_near(host):
            advice = "use https, unless something on the way encrypts"
            report.add(place.name, "tls", "finding", "the key goes over the network in the clear", advice)
    # Whether the certificate is trusted, the request tells: authorities may be others than the system's.
    return True


def _resolve(report: Report, place: Place, host: str, port: int) -> list[tuple[str, int]]:
    began = time.monotonic()
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        advice = "see whether the name is right and whether this machine has DNS; behind a proxy, set `proxy`"
        report.add(
            place.name, "dns", "finding", f"{host} does not resolve: {error.strerror or error}", advice
        )
        return []
    addresses = list(dict.fromkeys((str(entry[4][0]), port) for entry in found))
    seconds = time.monotonic() - began
    report.add(place.name, "dns", "fine", f"{host} has {len(addresses)} addresses", None, seconds)
    return addresses


def _connect(
    report: Report, place: Place, host: str, addresses: list[tuple[str, int]], timeout: float
) -> socket.socket | None:
    fault: OSError | None = None
    for address in addresses:
        began = time.monotonic()
        try:
            accepted = socket.create_connection(address, timeout)
        except OSError as error:
            fault = error
            continue
        seconds = time.monotonic() - began
        slow = seconds > SLOW_CONNECT
        words = f"{host}:{address[1]} takes connections{', but slowly' if slow else ''}"
        advice = "see the way there: a distant region, a crowded network, packets that are lost"
        report.add(place.name, "connect", "finding" if slow else "fine", words, advice, seconds)
        return accepted
    advice = "see whether the service runs, and whether a firewall is in between; behind a proxy, set `proxy`"
    told = f"{host}:{addresses[0][1]} takes no connection: {fault}"
    report.add(place.name, "connect", "finding", told, advice)
    return None


def _certificate(report: Report, place: Place, host: str, accepted: socket.socket) -> None:
    """How long the certificate holds, where the system's authorities know it."""
    began = time.monotonic()
    try:
        with ssl.create_default_context().wrap_socket(accepted, server_hostname=host) as secured:
            certificate = secured.getpeercert() or {}
            version = secured.version()
    except ssl.SSLCertVerificationError as error:
        report.add(
            place.name,
            "tls",
            "note",
            f"the system's authorities do not vouch for {host}: {error.verify_message}",
            'with a proxy that opens TLS, or a service of your own, name its authority: `ca = "ca.pem"`',
        )
        return
    except OSError as error:
        advice = "something on the way speaks no TLS: a proxy, a captive portal, a wrong port"
        report.add(place.name, "tls", "finding", f"the handshake with {host} failed: {error}", advice)
        return
    seconds = time.monotonic() - began
    until = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC)
    days = (until - datetime.now(UTC)).days
    words = f"{version}, certificate until {until:%Y-%m-%d}"
    if days < SOON:
        report.add(place.name, "tls", "finding", f"{words}: {days} days", "have it renewed", seconds)
    else:
        report.add(place.name, "tls", "fine", words, None, seconds)


def _is_near(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith(("127.", "10.", "192.168.")) or "." not in host
