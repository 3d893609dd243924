"""What a wheel weighs, by part: the table of docs/operations.md.

    python tools/sizes.py dist/fairlead-*.whl
    python tools/sizes.py dist/fairlead-*.whl --library target/release/libfairlead.so

A library that is not stripped (`CARGO_PROFILE_RELEASE_STRIP=false`) also tells what the engine's machine code
is made of.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import zipfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

PARTS = {
    "configuration: TOML, YAML, JSONC, JSON Schema": (
        "fairlead::config",
        "schemars",
        "serde_path_to_error",
        "toml",
        "toml_parser",
        "saphyr_parser",
        "serde_saphyr",
        "jsonc_parser",
        "notify",
    ),
    "TLS": ("rustls", "ring", "webpki", "rustls_native_certs", "rustls_pki_types"),
    "HTTP/2 and proxies": ("reqwest", "hyper", "hyper_util", "h2", "tower", "tower_http"),
    "decompression": ("brotli_decompressor", "brotli", "flate2", "miniz_oxide", "zlib_rs"),
    "the Python border": ("fairlead::python", "pyo3", "pythonize", "pyo3_ffi"),
    "routing, limits, budgets, breakers, retries": (
        "fairlead::route",
        "fairlead::admit",
        "fairlead::store",
        "fairlead::retry",
        "fairlead::live",
        "fairlead::call",
    ),
    "simulation": ("fairlead::simulate",),
    "the rest of the engine": ("fairlead",),
}


def of_wheel(path: Path) -> Counter[str]:
    """Compressed bytes by part."""
    sizes: Counter[str] = Counter()
    with zipfile.ZipFile(path) as wheel:
        for entry in wheel.infolist():
            folders = entry.filename.split("/")[1:-1]
            part = f"`fairlead.{folders[0]}`" if folders else "the client"
            if entry.filename.endswith(".so"):
                part = "the engine (`_core`)"
            elif ".dist-info/" in entry.filename:
                part = "licences and metadata"
            sizes[part] += entry.compress_size
    return sizes


def of_library(path: Path) -> Counter[str]:
    """Bytes of machine code by what it is for."""
    symbols = subprocess.run(
        ["nm", "--print-size", "--size-sort", "--demangle", path], capture_output=True, text=True, check=True
    )
    sizes: Counter[str] = Counter()
    for line in symbols.stdout.splitlines():
        fields = line.split(None, 3)
        if len(fields) == 4:
            sizes[part_of(fields[3])] += int(fields[1], 16)
    return sizes


def part_of(symbol: str) -> str:
    """What a function is for."""
    found = re.match(r"<*(?:&?(?:mut )?)?(\w+)(?:\[\w+\])?::(\w+)?", symbol)
    crate = found[1] if found else ""
    names = {crate, f"{crate}::{found[2]}" if found else ""}
    return next((part for part, of in PARTS.items() if names & set(of)), "libraries and Rust's own")


def table(sizes: Mapping[str, int], head: str) -> None:
    """Rows, the largest first."""
    print(f"| {head} | KB |\n|---|---|")
    for part, size in sorted(sizes.items(), key=lambda row: -row[1]):
        print(f"| {part} | {size / 1000:,.0f} |")
    print(f"| all | {sum(sizes.values()) / 1000:,.0f} |\n")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--library", type=Path)
    given = parser.parse_args()
    table(of_wheel(given.wheel), "part of the wheel, compressed")
    if given.library is not None:
        table(of_library(given.library), "machine code of the engine")


if __name__ == "__main__":
    main()
