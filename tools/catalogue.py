"""Makes `src/provider/catalogue/models.tsv` from published price lists.

    python tools/catalogue.py --taken 2026-11-21 SOURCE...

A source is a file as its project publishes it, told apart by its name and content:

- LiteLLM's `model_prices_and_context_window.json`, or its wheel;
- models.dev's `api.json`;
- a LangChain partner wheel: its `data/_profiles.py` is derived from models.dev;
- genai-prices' wheel.

The first source that knows the price of a model has the word on it (LiteLLM, genai-prices, models.dev); the
other columns are filled from whichever source knows them. The same files give the same table, byte for byte.
"""

import argparse
import ast
import json
import zipfile
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from rows import COLUMNS, Row, genai_prices, litellm, models_dev, profiles

TABLE = Path(__file__).parent.parent / "src/provider/catalogue/models.tsv"

# Our preset for the id under which a source keeps a provider.
LANGCHAIN = {
    "langchain_anthropic": "anthropic",
    "langchain_aws": "bedrock",
    "langchain_deepseek": "deepseek",
    "langchain_fireworks": "fireworks",
    "langchain_google_genai": "gemini",
    "langchain_google_vertexai": "vertex",
    "langchain_groq": "groq",
    "langchain_huggingface": "huggingface",
    "langchain_mistralai": "mistral",
    "langchain_openai": "openai",
    "langchain_openrouter": "openrouter",
    "langchain_perplexity": "perplexity",
    "langchain_xai": "xai",
}


class Source:
    """One published file: whose it is, which version, and its rows."""

    def __init__(self, name: str, version: str, licence: str, rows: list[Row]) -> None:
        self.name, self.version, self.licence, self.rows = name, version, licence, rows


def read(path: Path, today: date) -> Source:
    """Whatever file this is.

    Raises:
        ValueError: It is none of the known ones.
    """
    if path.suffix == ".whl":
        return wheel(path, today)
    written = json.loads(path.read_text("utf-8"), parse_float=Decimal)
    if "sample_spec" in written or any("litellm_provider" in row for row in written.values()):
        return Source("litellm", "file", "MIT", list(litellm(written)))
    if all("models" in provider for provider in written.values()):
        return Source("models.dev", "file", "MIT", list(models_dev(written)))
    raise ValueError(f"{path}: none of the known sources")


def wheel(path: Path, today: date) -> Source:
    """The rows inside a wheel."""
    package, version = path.name.split("-")[:2]
    with zipfile.ZipFile(path) as archive:
        licence = stated_licence(archive)
        if package == "litellm":
            text = archive.read("litellm/model_prices_and_context_window_backup.json")
            return Source(package, version, licence, list(litellm(json.loads(text, parse_float=Decimal))))
        if package == "genai_prices":
            providers = literal(archive.read("genai_prices/data.py").decode(), "providers")
            return Source("genai-prices", version, licence, list(genai_prices(providers, today)))
        if package in LANGCHAIN:
            written = literal(archive.read(f"{package}/data/_profiles.py").decode(), "_PROFILES")
            name = f"models.dev by {package.replace('_', '-')}"
            return Source(name, version, licence, list(profiles(LANGCHAIN[package], written)))
    raise ValueError(f"{path}: none of the known sources")


def stated_licence(archive: zipfile.ZipFile) -> str:
    """What the wheel's metadata call their licence."""
    metadata = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    for line in archive.read(metadata).decode("utf-8").splitlines():
        if line.startswith(("License-Expression: ", "License: ")):
            return line.split(": ", 1)[1]
    return "unknown"


def literal(source: str, name: str) -> Any:
    """The value of a module's variable, without running it: a call becomes a dict of its arguments."""
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.AnnAssign) and ast.unparse(statement.target) == name:
            return plain(statement.value)
    raise ValueError(f"no variable {name}")


def plain(node: ast.expr | None) -> Any:
    """One expression as plain data."""
    match node:
        case ast.Constant(value=value):
            return value
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [plain(item) for item in items]
        case ast.Dict(keys=keys, values=values):
            return {plain(key): plain(value) for key, value in zip(keys, values, strict=True)}
        case ast.Call(func=ast.Name(id="Decimal"), args=[argument]):
            return Decimal(str(plain(argument)))
        case ast.Call(func=function, args=arguments, keywords=keywords):
            kind = ast.unparse(function)
            named = {keyword.arg: plain(keyword.value) for keyword in keywords}
            return {"": kind, "args": [plain(argument) for argument in arguments], **named}
    return None


def merged(sources: list[Source]) -> list[Row]:
    """One row for each provider and model: gaps of the earlier sources are filled by the later ones."""
    rows: dict[tuple[str, str], Row] = {}
    for source in sources:
        for row in source.rows:
            known = rows.get((row.provider, row.model))
            if known is None:
                rows[row.provider, row.model] = row
            else:
                known.fill(row)
    return [rows[key] for key in sorted(rows)]


def lines(sources: list[Source], taken: str) -> Iterator[str]:
    """The table: whence it is, its columns, its rows."""
    rows = merged(sources)
    for source in sources:
        yield "\t".join(("#", source.name, source.version, source.licence, taken, str(len(source.rows))))
    yield "\t".join(COLUMNS)
    for row in rows:
        yield row.line()


def main() -> None:
    """Reads the arguments and writes the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sources", nargs="+", type=Path, metavar="SOURCE")
    parser.add_argument("--taken", required=True, type=date.fromisoformat, help="the day they were published")
    parser.add_argument("--out", type=Path, default=TABLE)
    arguments = parser.parse_args()
    order = ["litellm", "genai-prices", "models.dev"]
    sources = [read(path, arguments.taken) for path in arguments.sources]
    sources.sort(key=lambda source: (order.index(source.name.split(" ")[0]), source.name))
    text = "".join(f"{line}\n" for line in lines(sources, arguments.taken.isoformat()))
    arguments.out.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
