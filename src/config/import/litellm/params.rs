//! Which of LiteLLM's `litellm_params` are request parameters, and how its provider names read here.

use crate::provider::presets;

/// Sent with every request to the deployment.
pub(super) const REQUEST: &[&str] = &[
    "temperature",
    "top_p",
    "top_k",
    "n",
    "max_tokens",
    "max_completion_tokens",
    "presence_penalty",
    "frequency_penalty",
    "seed",
    "stop",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "response_format",
    "reasoning",
    "reasoning_effort",
    "thinking",
    "verbosity",
    "service_tier",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "modalities",
    "prediction",
    "user",
    "metadata",
    "store",
    "web_search_options",
    "provider",
    "models",
    "plugins",
    "transforms",
    "dimensions",
    "encoding_format",
];

/// LiteLLM's names of providers that are known here under another one.
const RENAMED: &[(&str, &str)] = &[
    ("ollama_chat", "ollama"),
    ("hosted_vllm", "vllm"),
    ("openai_like", "openai-compatible"),
    ("custom_openai", "openai-compatible"),
    ("litellm_proxy", "openai-compatible"),
];

/// What a bare model name belongs to, by how it begins.
const FAMILIES: &[(&str, &str)] = &[
    ("gpt-", "openai"),
    ("chatgpt-", "openai"),
    ("o1", "openai"),
    ("o3", "openai"),
    ("o4", "openai"),
    ("text-embedding-", "openai"),
    ("ft:gpt-", "openai"),
    ("claude-", "anthropic"),
    ("gemini-", "gemini"),
    ("deepseek-", "deepseek"),
    ("mistral-", "mistral"),
    ("codestral-", "mistral"),
    ("grok-", "xai"),
    ("moonshot-", "moonshot"),
    ("kimi-", "moonshot"),
    ("qwen-", "dashscope"),
    ("sonar", "perplexity"),
];

/// The provider and the model of `model`, where `given` is its `custom_llm_provider`.
pub(super) fn provider_and_model<'a>(model: &'a str, given: Option<&'a str>) -> (Option<&'a str>, &'a str) {
    let renamed = |name: &'a str| RENAMED.iter().find(|(theirs, _)| *theirs == name).map(|(_, ours)| *ours);
    let known = |name: &'a str| renamed(name).or_else(|| presets::find(name).map(|preset| preset.id));
    if let Some(given) = given {
        let model = model.strip_prefix(given).and_then(|rest| rest.strip_prefix('/')).unwrap_or(model);
        return (Some(known(given).unwrap_or(given)), model);
    }
    if let Some((provider, rest)) = model.split_once('/') {
        return (Some(known(provider).unwrap_or(provider)), rest);
    }
    let family = FAMILIES.iter().find(|(begin, _)| model.starts_with(begin));
    (family.map(|(_, provider)| *provider), model)
}
