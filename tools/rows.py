"""One row of the catalogue, and how each source is read into rows.

Money is in dollars per million tokens, as exact decimals; a price that is not stated is left out, never zero.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

COLUMNS = (
    "provider", "model", "mode", "context", "output", "modalities", "capabilities", "rejects", "prices",
    "since", "retires", "source",
)  # fmt: skip

CAPABILITIES = ("tools", "parallel_tools", "vision", "json_schema", "reasoning", "audio", "pdf", "cache")
CLASSES = (
    "input", "output", "cached", "write", "write_1h", "reasoning", "audio_in", "audio_cached", "audio_out",
    "image_in", "image_out", "request", "image", "second",
)  # fmt: skip
MODES = {"chat", "responses", "completion", "embedding", "image_generation"}
LEVELS = ("", "batch", "flex", "priority")

Rates = dict[str, Decimal]


@dataclass
class Schedule:
    """The rates of one service level, from which prompt length on."""

    tiers: dict[int, Rates] = field(default_factory=dict)

    def set(self, above: int, name: str, price: Decimal) -> None:
        self.tiers.setdefault(above, {})[name] = price

    def text(self) -> str:
        words = []
        for above in sorted(self.tiers):
            if above:
                words.append(f">{above}")
            rates = self.tiers[above]
            for name in CLASSES:
                if name in rates and not redundant(name, rates):
                    words.append(f"{name}={number(rates[name])}")
        return " ".join(words)


@dataclass
class Row:
    """What is known of one model at one provider."""

    provider: str
    model: str
    source: str
    mode: str = "chat"
    context: int | None = None
    output: int | None = None
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    capabilities: dict[str, bool] = field(default_factory=dict)
    rejects: list[str] = field(default_factory=list)
    levels: dict[str, Schedule] = field(default_factory=dict)
    since: str = ""
    retires: str = ""

    def fill(self, other: "Row") -> None:
        """Takes over what this row does not know."""
        self.context = self.context or other.context
        self.output = self.output or other.output
        self.inputs = self.inputs or other.inputs
        self.outputs = self.outputs or other.outputs
        self.capabilities = {**other.capabilities, **self.capabilities}
        self.rejects = self.rejects or other.rejects
        self.retires = self.retires or other.retires
        if not self.priced() and other.priced():
            self.levels, self.since, self.source = other.levels, other.since, other.source

    def priced(self) -> bool:
        return any(schedule.tiers.get(0) for schedule in self.levels.values())

    def price(self, level: str, above: int, name: str, dollars: Decimal | None) -> None:
        """Notes a price; free is only what says so of every class."""
        if dollars is not None:
            self.levels.setdefault(level, Schedule()).set(above, name, Decimal(dollars))

    def line(self) -> str:
        cells = (
            self.provider, self.model, self.mode, str(self.context or ""), str(self.output or ""),
            f"{','.join(self.inputs)}>{','.join(self.outputs)}" if self.inputs or self.outputs else "",
            " ".join(name if self.capabilities[name] else f"-{name}" for name in CAPABILITIES
                     if name in self.capabilities),
            " ".join(self.rejects), self.prices(), self.since, self.retires, self.source,
        )  # fmt: skip
        return "\t".join(cells)

    def prices(self) -> str:
        steps = self.levels.get("", Schedule()).tiers
        for schedule in self.levels.values():
            for above in steps:
                schedule.tiers.setdefault(above, {})  # a step of which this level says nothing is unknown
        texts = ((level, self.levels[level].text()) for level in sorted(self.levels, key=rank))
        return " | ".join(f"{level} {text}".strip() for level, text in texts if text)


def rank(level: str) -> int:
    """Service levels in the order of the table, off-peak hours last."""
    return LEVELS.index(level) if level in LEVELS else len(LEVELS)


def redundant(name: str, rates: Rates) -> bool:
    """Says the rate the same as the class it is part of?"""
    part_of = {"reasoning": "output"}.get(name)
    return part_of is not None and rates[name] == rates.get(part_of)


def number(value: Decimal) -> str:
    """A decimal without exponent and trailing zeros, to a nano-dollar per million."""
    text = f"{value.quantize(Decimal('1e-9')):f}"
    return text.rstrip("0").rstrip(".") or "0"


# ---------------------------------------------------------------------------------------------------- LiteLLM

LITELLM = {
    "openai": "openai", "text-completion-openai": "openai", "volcengine": "ark", "deepseek": "deepseek",
    "groq": "groq", "mistral": "mistral", "together_ai": "together", "xai": "xai",
    "fireworks_ai": "fireworks", "fireworks_ai-embedding-models": "fireworks",
    "moonshot": "moonshot", "bigmodel": "zhipu", "zai": "zai",
    "dashscope": "dashscope", "perplexity": "perplexity", "cerebras": "cerebras", "ollama": "ollama",
    "minimax": "minimax", "snowflake": "snowflake", "voyage": "voyage", "anthropic": "anthropic",
    "gemini": "gemini", "bedrock": "bedrock", "bedrock_converse": "bedrock", "cohere": "cohere",
    "cohere_chat": "cohere", "replicate": "replicate", "sagemaker": "sagemaker", "watsonx": "watsonx",
}  # fmt: skip

MILLION = Decimal(1_000_000)

COST = re.compile(
    r"(?P<base>(?:in|out)put_cost_per_(?:audio_|image_|reasoning_)?token|cache_read_input_(?:audio_)?token_cost"
    r"|cache_creation_input_token_cost(?:_above_1hr)?)"
    r"(?:_above_(?P<thousand>\d+)k_tokens)?(?:_(?P<level>batches|flex|priority))?"
)
COSTS = {
    "input_cost_per_token": "input", "output_cost_per_token": "output",
    "cache_read_input_token_cost": "cached",
    "cache_creation_input_token_cost": "write", "cache_creation_input_token_cost_above_1hr": "write_1h",
    "output_cost_per_reasoning_token": "reasoning", "input_cost_per_audio_token": "audio_in",
    "cache_read_input_audio_token_cost": "audio_cached", "output_cost_per_audio_token": "audio_out",
    "input_cost_per_image_token": "image_in", "output_cost_per_image_token": "image_out",
}  # fmt: skip
FLAGS = {
    "supports_function_calling": "tools", "supports_parallel_function_calling": "parallel_tools",
    "supports_vision": "vision", "supports_response_schema": "json_schema", "supports_reasoning": "reasoning",
    "supports_audio_input": "audio", "supports_pdf_input": "pdf", "supports_prompt_caching": "cache",
}  # fmt: skip


def litellm(written: Mapping[str, Any]) -> Iterator[Row]:
    """Rows of LiteLLM's price file."""
    for key, entry in written.items():
        named = str(entry.get("litellm_provider") or "")
        provider = "vertex" if named.startswith("vertex_ai") else LITELLM.get(named)
        mode = entry.get("mode") or "chat"
        model = bare(key, named)
        if provider is None or mode not in MODES or model is None:
            continue
        if mode == "image_generation" and provider not in ("gemini", "vertex"):
            continue  # a model that answers on other endpoints than ours
        yield litellm_row(Row(provider, model, "litellm", mode), entry)


def bare(key: str, provider: str) -> str | None:
    """The name at the provider itself; `None` for what is a size class, a region or a commitment."""
    prefix = "vertex_ai/" if provider.startswith("vertex_ai") else f"{provider.split('-embedding')[0]}/"
    model = key.removeprefix(prefix).removeprefix("cohere/")
    if re.match(r"(together-ai|fireworks-ai)-|\d+-x-\d+|max-x-max", model) or model.startswith("bedrock/"):
        return None
    if provider.startswith("bedrock") and "/" in model and not model.startswith("arn:"):
        return None
    return model


def litellm_row(row: Row, entry: Mapping[str, Any]) -> Row:
    """One entry of the file."""
    row.context, row.output = tokens(entry.get("max_input_tokens")), tokens(entry.get("max_output_tokens"))
    row.inputs = [str(kind) for kind in entry.get("supported_modalities") or []]
    row.outputs = [str(kind) for kind in entry.get("supported_output_modalities") or []]
    row.capabilities = {
        name: bool(entry[flag]) for flag, name in FLAGS.items() if entry.get(flag) is not None
    }
    if entry.get("supports_sampling_params") is False:
        row.rejects = ["temperature", "top_p", "top_k"]
    row.retires = str(entry.get("deprecation_date") or "")
    for key, price in entry.items():
        found = COST.fullmatch(key)
        if found and isinstance(price, Decimal | int):
            level = {"batches": "batch"}.get(found["level"], found["level"] or "")
            row.price(level, int(found["thousand"] or 0) * 1000, COSTS[found["base"]], price * MILLION)
    for tier in entry.get("tiered_pricing") or []:
        price_tier(row, tier)
    for key, name in (("input_cost_per_request", "request"), ("input_cost_per_image", "image")):
        if isinstance(entry.get(key), Decimal | int):
            row.price("", 0, name, Decimal(entry[key]))
    off_peak(row, entry.get("off_peak_pricing"))
    return settled(row)


def price_tier(row: Row, tier: Mapping[str, Any]) -> None:
    """One step of a list of ranges, each of which begins above its lower bound."""
    for key, name in COSTS.items():
        if key in tier and "range" in tier:
            row.price("", int(tier["range"][0]), name, tier[key] * MILLION)


def off_peak(row: Row, written: Mapping[str, Any] | None) -> None:
    """Other rates at certain hours of the week, in UTC."""
    if not written:
        return
    windows = []
    for window in written["windows"]:
        hours = window["hours_utc"]
        spans = [hours] if isinstance(hours, str) else hours
        days = "".join(str(day) for day in window["weekdays"])
        windows.append(f"{days}:{','.join(map(whole_hours, spans))}")
    for key, name in COSTS.items():
        if key in written:
            row.price(f"off_peak@{';'.join(windows)}", 0, name, written[key] * MILLION)


def whole_hours(span: str) -> str:
    """`10:00-00:00` as `10-24`."""
    start, end = (int(time.removesuffix(":00")) for time in span.split("-"))
    return f"{start}-{end or 24}"


def settled(row: Row) -> Row:
    """Takes away what is no price: a cache write or an answer that costs nothing because there is none."""
    for schedule in row.levels.values():
        for rates in schedule.tiers.values():
            if rates.get("write") == 0:
                del rates["write"]
            if row.mode == "embedding":
                rates.setdefault("output", Decimal(0))
    base = row.levels.get("", Schedule()).tiers.get(0, {})
    if not base.get("input") and not base.get("output") and not row.model.endswith(":free"):
        row.levels = {}  # zero for "not stated", as for models on one's own machine
    elif "input" not in base:
        row.levels = {}
    return row


def tokens(value: Any) -> int | None:
    """A count that a source may write as a string or a float."""
    try:
        return int(value) or None
    except (TypeError, ValueError):
        return None


# ------------------------------------------------------------------------------------------------- models.dev

MODELS_DEV = {
    "openai": "openai", "openrouter": "openrouter", "volcengine": "ark", "deepseek": "deepseek",
    "groq": "groq",
    "mistral": "mistral", "togetherai": "together", "xai": "xai", "fireworks-ai": "fireworks",
    "moonshotai": "moonshot", "zhipuai": "zhipu", "zai": "zai", "siliconflow-cn": "siliconflow",
    "alibaba-cn": "dashscope", "perplexity": "perplexity", "cerebras": "cerebras",
    "ollama-cloud": "ollama-cloud", "minimax": "minimax", "huggingface": "huggingface",
    "anthropic": "anthropic", "google": "gemini",
    "amazon-bedrock": "bedrock", "google-vertex": "vertex", "cohere": "cohere",
}  # fmt: skip
MODELS_DEV_COSTS = {
    "input": "input", "output": "output", "cache_read": "cached", "cache_write": "write",
    "reasoning": "reasoning",
    "input_audio": "audio_in", "output_audio": "audio_out",
}  # fmt: skip


def models_dev(written: Mapping[str, Any]) -> Iterator[Row]:
    """Rows of models.dev's `api.json`."""
    for named, provider in written.items():
        if named not in MODELS_DEV:
            continue
        for model, entry in provider["models"].items():
            row = Row(MODELS_DEV[named], model, "models.dev")
            limit, kinds = entry.get("limit") or {}, entry.get("modalities") or {}
            row.context, row.output = tokens(limit.get("context")), tokens(limit.get("output"))
            row.inputs, row.outputs = list(kinds.get("input") or []), list(kinds.get("output") or [])
            flags = {"tools": "tool_call", "json_schema": "structured_output", "reasoning": "reasoning"}
            row.capabilities = {ours: entry[theirs] for ours, theirs in flags.items() if theirs in entry}
            row.capabilities |= {"vision": "image" in row.inputs, "pdf": "pdf" in row.inputs}
            row.rejects = ["temperature"] if entry.get("temperature") is False else []
            for theirs, ours in MODELS_DEV_COSTS.items():
                row.price("", 0, ours, (entry.get("cost") or {}).get(theirs))
            yield settled(row)


def profiles(provider: str, written: Mapping[str, Any]) -> Iterator[Row]:
    """Rows of the profiles LangChain derives from models.dev: no prices."""
    flags = {
        "tools": "tool_calling", "vision": "image_inputs", "json_schema": "structured_output",
        "reasoning": "reasoning_output", "audio": "audio_inputs", "pdf": "pdf_inputs",
    }  # fmt: skip
    for model, entry in written.items():
        if "max_input_tokens" not in entry:
            continue  # an augmentation without a model
        row = Row(provider, model, "models.dev")
        row.context, row.output = tokens(entry["max_input_tokens"]), tokens(entry.get("max_output_tokens"))
        kinds = ("text", "image", "audio", "video")
        row.inputs = [kind for kind in kinds if entry.get(f"{kind}_inputs")]
        row.outputs = [kind for kind in kinds if entry.get(f"{kind}_outputs")]
        row.capabilities = {ours: bool(entry[theirs]) for ours, theirs in flags.items() if theirs in entry}
        row.rejects = ["temperature"] if entry.get("temperature") is False else []
        yield row


# ----------------------------------------------------------------------------------------------- genai-prices

GENAI = {
    "anthropic": "anthropic", "cerebras": "cerebras", "cohere": "cohere", "deepseek": "deepseek",
    "fireworks": "fireworks", "google": "gemini", "groq": "groq", "minimax": "minimax", "mistral": "mistral",
    "moonshotai": "moonshot", "openai": "openai", "openrouter": "openrouter", "perplexity": "perplexity",
    "together": "together", "voyageai": "voyage", "x-ai": "xai", "zai": "zai", "zhipuai": "zhipu",
}  # fmt: skip
GENAI_COSTS = {
    "input_mtok": "input", "output_mtok": "output", "cache_read_mtok": "cached", "cache_write_mtok": "write",
    "cache_write_1h_mtok": "write_1h", "output_reasoning_mtok": "reasoning", "input_audio_mtok": "audio_in",
    "cache_audio_read_mtok": "audio_cached", "output_audio_mtok": "audio_out", "input_image_mtok": "image_in",
    "output_image_mtok": "image_out",
}  # fmt: skip


def genai_prices(providers: list[dict[str, Any]], today: date) -> Iterator[Row]:
    """Rows of genai-prices, which keeps the prices of retired models; of dated prices those of `today`."""
    for provider in providers:
        if provider["id"] not in GENAI:
            continue
        for entry in provider["models"]:
            for model in names(entry):
                row = Row(GENAI[provider["id"]], model, "genai-prices", context=entry.get("context_window"))
                if "embed" in model:
                    row.mode = "embedding"
                prices, row.since = in_force(entry["prices"], today)
                genai_rates(row, "", prices)
                for variant in entry.get("price_variants") or []:
                    when = variant["when"]
                    level = "batch" if when.get("processing") == "batch" else when.get("service_tier", "")
                    if level in LEVELS[1:] and len(when) == 1:
                        genai_rates(row, level, variant["prices"])
                yield settled(row)


def names(entry: Mapping[str, Any]) -> list[str]:
    """The id of an entry and every name it equals; of a prefix only one that is itself a name."""
    found = [entry["id"]]
    clauses = [entry["match"]]
    for clause in clauses:
        clauses.extend(clause.get("or_") or [])
        name = clause.get("equals")
        if clause[""] == "ClauseStartsWith" and f"{entry['id']}-".startswith(f"{clause['starts_with']}-"):
            name = clause["starts_with"]
        if name and name not in found:
            found.append(name)
    return found


def in_force(prices: Any, today: date) -> tuple[Mapping[str, Any], str]:
    """The prices of `today` and since when they hold."""
    if not isinstance(prices, list):
        return prices, ""
    chosen, since = {}, ""
    for step in prices:
        constraint = step.get("constraint")
        if constraint is None:
            chosen, since = step["prices"], ""
        elif constraint[""] == "StartDateConstraint":
            start = date(*constraint["start_date"]["args"])
            if start <= today:
                chosen, since = step["prices"], start.isoformat()
    return chosen, since


def genai_rates(row: Row, level: str, prices: Mapping[str, Any]) -> None:
    """The rates of one service level."""
    for theirs, ours in GENAI_COSTS.items():
        price = prices.get(theirs)
        if isinstance(price, dict):
            row.price(level, 0, ours, price["base"])
            for tier in price["tiers"]:
                row.price(level, tier["start"], ours, tier["price"])
        else:
            row.price(level, 0, ours, price)
    if prices.get("requests_kcount") is not None:
        row.price(level, 0, "request", prices["requests_kcount"] / 1000)
