//! The presets: what is known of each provider, as plain data.
//!
//! Base URLs, variables and quirks come from the providers' documentation and from recorded traffic. A preset is a
//! default: configuration may replace every part of it.

use super::name::distance;
use crate::chat::thoughts::Thoughts;
use crate::chat::usage::Usage;

/// The preset of any host that speaks OpenAI's dialect.
pub const ANY_HOST: &str = "openai-compatible";
/// The `limit_profile` that says there is none.
const NO_PROFILE: &str = "none";
/// The profiles of OpenRouter's free models: of accounts that have bought credits, and of others.
const FREE_WITH_CREDITS: &str = "free_with_credits";
const FREE: &str = "free";

/// How the key travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// `Authorization: Bearer <key>`.
    Bearer,
    /// `<name>: <key>`.
    Header(&'static str),
}

/// Under which name the bound on output tokens is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxTokensName {
    /// `max_tokens`.
    MaxTokens,
    /// `max_completion_tokens`.
    MaxCompletionTokens,
    /// `max_completion_tokens` for OpenAI's o-series and gpt-5 onwards, `max_tokens` for the rest.
    ByModel,
}

/// The wire format a provider speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// OpenAI's chat completions.
    OpenAiChat,
    /// A format that is not spoken yet, by its name.
    Missing(&'static str),
}

/// One provider.
#[expect(clippy::struct_excessive_bools, reason = "a row of independent facts, not the states of anything")]
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    /// The name in `provider/model` and in configuration.
    pub id: &'static str,
    /// Other names for the same.
    pub aliases: &'static [&'static str],
    /// Where it is; `None` where every user has a place of their own.
    pub base_url: Option<&'static str>,
    /// Variables that replace the base URL, the first that is set wins.
    pub base_url_env: &'static [&'static str],
    /// Variables with the key, the first that is set wins.
    pub key_env: &'static [&'static str],
    /// Is a missing key an error before anything is sent?
    pub key_required: bool,
    /// How the key travels.
    pub auth: Auth,
    /// Headers that are always sent.
    pub headers: &'static [(&'static str, &'static str)],
    /// Headers that are sent where one of their variables is set.
    pub header_env: &'static [(&'static str, &'static [&'static str])],
    /// Variables with the model to use where the caller names none.
    pub model_env: &'static [&'static str],
    /// The model to use where neither the caller nor a variable names one.
    pub default_model: Option<&'static str>,
    /// The name of the bound on output tokens.
    pub max_tokens: MaxTokensName,
    /// How it takes the reasoning of earlier turns.
    pub thoughts: Thoughts,
    /// Streams may end with `[DONE]` and no finish reason.
    pub finish_optional: bool,
    /// The host takes `stream_options.include_usage`.
    pub include_usage: bool,
    /// Endpoints are below the host itself: a base URL without a path does not mean `/v1`.
    pub rooted: bool,
    /// Azure's deployment URLs and `api-version`.
    pub azure: bool,
    /// Variables with the `api-version`, the first that is set wins.
    pub version_env: &'static [&'static str],
    /// Reached through an OpenAI-compatible endpoint until its own dialect is spoken.
    pub interim: bool,
    /// The wire format.
    pub dialect: Dialect,
    /// Do prompt tokens read from its cache stay out of its limits?
    pub free_cache: bool,
    /// Limits that are known without asking, the usual one first.
    pub limit_profiles: &'static [LimitProfile],
    /// Where it tells whose profile a key's account has, below the base URL.
    pub account_path: Option<&'static str>,
}

/// Limits that a provider puts on a kind of account, counted over all models of that kind together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitProfile {
    /// Its name in `limit_profile`.
    pub name: &'static str,
    /// How the names of the models end that it is about.
    pub models: &'static str,
    /// Requests in any minute.
    pub requests_per_minute: u64,
    /// Requests in any 24 hours.
    pub requests_per_day: u64,
}

impl Preset {
    /// The prompt tokens of `usage` that count against its limits.
    pub fn counted_input(&self, usage: &Usage) -> u64 {
        if self.free_cache { usage.input.saturating_sub(usage.cached) } else { usage.input }
    }

    /// The profile called `name`, or the usual one.
    ///
    /// # Errors
    ///
    /// The names there are, as a sentence.
    pub fn limit_profile(&self, name: Option<&str>) -> Result<Option<&'static LimitProfile>, String> {
        let Some(name) = name else { return Ok(self.limit_profiles.first()) };
        if name == NO_PROFILE {
            return Ok(None);
        }
        let known = self.limit_profiles.iter().find(|profile| profile.name == name);
        known.map(Some).ok_or_else(|| {
            let names: Vec<&str> = self.limit_profiles.iter().map(|profile| profile.name).collect();
            format!(
                "{name:?} is none of {}: {}",
                self.id,
                [names.as_slice(), &[NO_PROFILE]].concat().join(", ")
            )
        })
    }

    /// The profile of an account, by what [`Preset::account_path`] answered: OpenRouter says whether credits were ever
    /// bought. `None` where it does not say.
    pub fn profile_told(&self, body: &[u8]) -> Option<&'static LimitProfile> {
        let told: serde_json::Value = serde_json::from_slice(body).ok()?;
        let is_free = told.pointer("/data/is_free_tier")?.as_bool()?;
        let name = if is_free { FREE } else { FREE_WITH_CREDITS };
        self.limit_profiles.iter().find(|profile| profile.name == name)
    }

    /// Is its dialect spoken? If not, why a client for it cannot be built, as a sentence.
    pub fn spoken(&self) -> Result<(), String> {
        match self.dialect {
            Dialect::OpenAiChat => Ok(()),
            Dialect::Missing(dialect) => Err(format!(
                "provider {:?} speaks {dialect}, which fairlead does not speak yet; reach it through an \
                 OpenAI-compatible endpoint with provider = \"openai-compatible\" and a base_url",
                self.id
            )),
        }
    }

    /// Does it run on the user's own machine unless told otherwise?
    pub fn is_local(&self) -> bool {
        self.base_url.is_some_and(|base_url| base_url.starts_with("http://localhost"))
    }

    /// Is `name` its id or an alias, in any case?
    pub fn answers_to(&self, name: &str) -> bool {
        self.names().any(|known| known.eq_ignore_ascii_case(name))
    }

    /// Its id and aliases.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.id).chain(self.aliases.iter().copied())
    }
}

/// Every preset, in the order of the documentation.
pub fn all() -> &'static [Preset] {
    PRESETS
}

/// The preset that answers to `name`.
pub fn find(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.answers_to(name))
}

/// The preset name nearest to a mistyped one: at most two letters away, and closer than half of it.
pub fn near(name: &str) -> Option<&'static str> {
    nearest(name, PRESETS.iter().flat_map(Preset::names))
}

/// The one of `known` nearest to `name`, under the same rule; of several as near, the first in the alphabet, whatever
/// order they come in.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    let (far, nearest) = known.map(|known| (distance(known, &name), known)).min()?;
    (far <= 2 && far * 2 < name.len()).then_some(nearest)
}

/// The end of a sentence about a name that nothing has.
pub fn did_you_mean(near: Option<&str>) -> String {
    near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default()
}

/// The name under which `model` takes the bound on output tokens.
pub fn max_tokens_name(preset: &Preset, model: &str) -> &'static str {
    let completion = match preset.max_tokens {
        MaxTokensName::MaxTokens => false,
        MaxTokensName::MaxCompletionTokens => true,
        MaxTokensName::ByModel => reasons(model),
    };
    if completion { "max_completion_tokens" } else { "max_tokens" }
}

/// OpenAI's o-series and gpt-5 onwards, also fine-tuned (`ft:`) or with a vendor before it.
fn reasons(model: &str) -> bool {
    let model = model.to_ascii_lowercase();
    let model = model.strip_prefix("ft:").unwrap_or(&model);
    let model = model.rsplit('/').next().unwrap_or(model);
    let number = |text: &str| {
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        text.get(..digits).and_then(|digits| digits.parse::<u32>().ok())
    };
    match model.strip_prefix("gpt-") {
        Some(version) => number(version).is_some_and(|version| (5..30).contains(&version)),
        None => model.strip_prefix('o').and_then(number).is_some(),
    }
}

/// An OpenAI-compatible host with a key; every row of the table begins as this.
const HOST: Preset = Preset {
    id: "",
    aliases: &[],
    base_url: None,
    base_url_env: &[],
    key_env: &[],
    key_required: true,
    auth: Auth::Bearer,
    headers: &[],
    header_env: &[],
    model_env: &[],
    default_model: None,
    max_tokens: MaxTokensName::MaxTokens,
    thoughts: Thoughts::AsWritten,
    finish_optional: false,
    include_usage: true,
    rooted: false,
    azure: false,
    version_env: &[],
    interim: false,
    dialect: Dialect::OpenAiChat,
    free_cache: false,
    limit_profiles: &[],
    account_path: None,
};

/// `OpenRouter`'s free models: 20 requests a minute; 1,000 a day for accounts that have bought credits for $10 or more,
/// 50 for the others. Failed attempts count.
const OPENROUTER_FREE: &[LimitProfile] = &[
    LimitProfile {
        name: FREE_WITH_CREDITS,
        models: ":free",
        requests_per_minute: 20,
        requests_per_day: 1000,
    },
    LimitProfile { name: FREE, models: ":free", requests_per_minute: 20, requests_per_day: 50 },
];

/// A host that usually runs on the user's own machine, without a key.
const LOCAL: Preset = Preset { key_required: false, ..HOST };

const fn missing(id: &'static str, aliases: &'static [&'static str], dialect: &'static str) -> Preset {
    Preset { id, aliases, dialect: Dialect::Missing(dialect), ..HOST }
}

static PRESETS: &[Preset] = &[
    Preset {
        id: "openai",
        base_url: Some("https://api.openai.com/v1"),
        base_url_env: &["OPENAI_BASE_URL"],
        key_env: &["OPENAI_API_KEY"],
        header_env: &[
            ("OpenAI-Organization", &["OPENAI_ORG_ID"]),
            ("OpenAI-Project", &["OPENAI_PROJECT_ID"]),
        ],
        model_env: &["OPENAI_MODEL"],
        max_tokens: MaxTokensName::ByModel,
        ..HOST
    },
    Preset {
        id: "openrouter",
        base_url: Some("https://openrouter.ai/api/v1"),
        base_url_env: &["OPENROUTER_BASE_URL"],
        key_env: &["OPENROUTER_API_KEY"],
        header_env: &[
            ("HTTP-Referer", &["OPENROUTER_HTTP_REFERER", "OR_SITE_URL"]),
            ("X-Title", &["OPENROUTER_X_TITLE", "OR_APP_NAME"]),
        ],
        model_env: &["OPENROUTER_MODEL"],
        default_model: Some("openrouter/auto"),
        limit_profiles: OPENROUTER_FREE,
        account_path: Some("/key"),
        ..HOST
    },
    Preset {
        id: "ark",
        aliases: &["volcengine", "volcengine-ark", "doubao"],
        base_url: Some("https://ark.cn-beijing.volces.com/api/v3"),
        base_url_env: &["ARK_BASE_URL"],
        key_env: &["ARK_API_KEY", "VOLCENGINE_API_KEY"],
        model_env: &["ARK_MODEL"],
        ..HOST
    },
    Preset {
        id: "deepseek",
        base_url: Some("https://api.deepseek.com/v1"),
        base_url_env: &["DEEPSEEK_BASE_URL"],
        key_env: &["DEEPSEEK_API_KEY"],
        model_env: &["DEEPSEEK_MODEL"],
        ..HOST
    },
    Preset {
        id: "groq",
        base_url: Some("https://api.groq.com/openai/v1"),
        base_url_env: &["GROQ_BASE_URL"],
        key_env: &["GROQ_API_KEY"],
        model_env: &["GROQ_MODEL"],
        thoughts: Thoughts::Refused,
        ..HOST
    },
    // Usage comes with the last chunk unasked; unknown members are refused.
    Preset {
        id: "mistral",
        aliases: &["mistralai"],
        base_url: Some("https://api.mistral.ai/v1"),
        base_url_env: &["MISTRAL_BASE_URL"],
        key_env: &["MISTRAL_API_KEY"],
        model_env: &["MISTRAL_MODEL"],
        thoughts: Thoughts::Refused,
        include_usage: false,
        ..HOST
    },
    Preset {
        id: "together",
        aliases: &["together_ai", "togetherai"],
        base_url: Some("https://api.together.xyz/v1"),
        base_url_env: &["TOGETHER_BASE_URL"],
        key_env: &["TOGETHER_API_KEY", "TOGETHERAI_API_KEY"],
        model_env: &["TOGETHER_MODEL"],
        ..HOST
    },
    Preset {
        id: "xai",
        base_url: Some("https://api.x.ai/v1"),
        base_url_env: &["XAI_BASE_URL"],
        key_env: &["XAI_API_KEY"],
        model_env: &["XAI_MODEL"],
        ..HOST
    },
    Preset {
        id: "fireworks",
        aliases: &["fireworks_ai", "fireworks-ai"],
        base_url: Some("https://api.fireworks.ai/inference/v1"),
        base_url_env: &["FIREWORKS_BASE_URL"],
        key_env: &["FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY"],
        model_env: &["FIREWORKS_MODEL"],
        thoughts: Thoughts::Named("reasoning_content"),
        ..HOST
    },
    Preset {
        id: "moonshot",
        aliases: &["moonshotai", "kimi"],
        base_url: Some("https://api.moonshot.ai/v1"),
        base_url_env: &["MOONSHOT_BASE_URL"],
        key_env: &["MOONSHOT_API_KEY"],
        model_env: &["MOONSHOT_MODEL"],
        ..HOST
    },
    Preset {
        id: "zhipu",
        aliases: &["zhipuai", "bigmodel"],
        base_url: Some("https://open.bigmodel.cn/api/paas/v4"),
        base_url_env: &["ZHIPU_BASE_URL"],
        key_env: &["ZHIPUAI_API_KEY", "ZHIPU_API_KEY"],
        model_env: &["ZHIPU_MODEL"],
        ..HOST
    },
    Preset {
        id: "zai",
        aliases: &["z-ai", "z.ai"],
        base_url: Some("https://api.z.ai/api/paas/v4"),
        base_url_env: &["ZAI_BASE_URL"],
        key_env: &["ZAI_API_KEY"],
        model_env: &["ZAI_MODEL"],
        ..HOST
    },
    Preset {
        id: "siliconflow",
        base_url: Some("https://api.siliconflow.cn/v1"),
        base_url_env: &["SILICONFLOW_BASE_URL"],
        key_env: &["SILICONFLOW_API_KEY"],
        model_env: &["SILICONFLOW_MODEL"],
        ..HOST
    },
    Preset {
        id: "dashscope",
        aliases: &["alibaba", "bailian"],
        base_url: Some("https://dashscope.aliyuncs.com/compatible-mode/v1"),
        base_url_env: &["DASHSCOPE_BASE_URL"],
        key_env: &["DASHSCOPE_API_KEY"],
        model_env: &["DASHSCOPE_MODEL"],
        ..HOST
    },
    // No `[DONE]` at the end of a stream; usage on every chunk.
    Preset {
        id: "perplexity",
        base_url: Some("https://api.perplexity.ai"),
        base_url_env: &["PERPLEXITY_BASE_URL"],
        key_env: &["PERPLEXITY_API_KEY", "PPLX_API_KEY"],
        model_env: &["PERPLEXITY_MODEL"],
        rooted: true,
        ..HOST
    },
    Preset {
        id: "cerebras",
        base_url: Some("https://api.cerebras.ai/v1"),
        base_url_env: &["CEREBRAS_BASE_URL"],
        key_env: &["CEREBRAS_API_KEY"],
        model_env: &["CEREBRAS_MODEL"],
        thoughts: Thoughts::Named("reasoning"),
        max_tokens: MaxTokensName::MaxCompletionTokens,
        ..HOST
    },
    Preset {
        id: "azure",
        aliases: &["azure-openai", "azure_openai"],
        base_url_env: &["AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_BASE_URL"],
        key_env: &["AZURE_OPENAI_API_KEY"],
        auth: Auth::Header("api-key"),
        model_env: &["AZURE_OPENAI_DEPLOYMENT"],
        max_tokens: MaxTokensName::ByModel,
        azure: true,
        version_env: &["OPENAI_API_VERSION", "AZURE_OPENAI_API_VERSION"],
        ..HOST
    },
    Preset {
        id: "ollama",
        base_url: Some("http://localhost:11434/v1"),
        base_url_env: &["OLLAMA_BASE_URL"],
        model_env: &["OLLAMA_MODEL"],
        ..LOCAL
    },
    Preset {
        id: "ollama-cloud",
        base_url: Some("https://ollama.com/v1"),
        key_env: &["OLLAMA_API_KEY"],
        model_env: &["OLLAMA_MODEL"],
        ..HOST
    },
    Preset {
        id: "vllm",
        base_url: Some("http://localhost:8000/v1"),
        base_url_env: &["VLLM_BASE_URL"],
        key_env: &["VLLM_API_KEY"],
        model_env: &["VLLM_MODEL"],
        ..LOCAL
    },
    Preset {
        id: "lmstudio",
        aliases: &["lm-studio", "lm_studio"],
        base_url: Some("http://localhost:1234/v1"),
        base_url_env: &["LMSTUDIO_BASE_URL"],
        key_env: &["LMSTUDIO_API_KEY"],
        model_env: &["LMSTUDIO_MODEL"],
        ..LOCAL
    },
    Preset {
        id: "one-api",
        aliases: &["oneapi", "one_api"],
        base_url_env: &["ONE_API_BASE_URL"],
        key_env: &["ONE_API_KEY"],
        model_env: &["ONE_API_MODEL"],
        ..HOST
    },
    Preset {
        id: "new-api",
        aliases: &["newapi", "new_api"],
        base_url_env: &["NEW_API_BASE_URL"],
        key_env: &["NEW_API_KEY"],
        model_env: &["NEW_API_MODEL"],
        ..HOST
    },
    Preset {
        id: "minimax",
        base_url: Some("https://api.minimax.io/v1"),
        base_url_env: &["MINIMAX_BASE_URL"],
        key_env: &["MINIMAX_API_KEY"],
        model_env: &["MINIMAX_MODEL"],
        ..HOST
    },
    Preset {
        id: "huggingface",
        aliases: &["hf"],
        base_url: Some("https://router.huggingface.co/v1"),
        base_url_env: &["HUGGINGFACE_BASE_URL"],
        key_env: &["HF_TOKEN", "HUGGINGFACE_API_KEY"],
        model_env: &["HUGGINGFACE_MODEL"],
        ..HOST
    },
    // The finish reason is empty or never sent.
    Preset {
        id: "snowflake",
        base_url_env: &["SNOWFLAKE_BASE_URL"],
        key_env: &["SNOWFLAKE_API_KEY", "SNOWFLAKE_TOKEN"],
        model_env: &["SNOWFLAKE_MODEL"],
        max_tokens: MaxTokensName::MaxCompletionTokens,
        finish_optional: true,
        ..HOST
    },
    Preset {
        id: "gpustack",
        base_url_env: &["GPUSTACK_BASE_URL"],
        key_env: &["GPUSTACK_API_KEY"],
        model_env: &["GPUSTACK_MODEL"],
        ..HOST
    },
    Preset {
        id: "voyage",
        aliases: &["voyageai"],
        base_url: Some("https://api.voyageai.com/v1"),
        base_url_env: &["VOYAGE_BASE_URL"],
        key_env: &["VOYAGE_API_KEY"],
        model_env: &["VOYAGE_MODEL"],
        ..HOST
    },
    Preset {
        id: "anthropic",
        aliases: &["claude"],
        base_url: Some("https://api.anthropic.com/v1"),
        base_url_env: &["ANTHROPIC_BASE_URL"],
        key_env: &["ANTHROPIC_API_KEY"],
        model_env: &["ANTHROPIC_MODEL"],
        interim: true,
        // Of its newer models; the older ones are retired.
        free_cache: true,
        ..HOST
    },
    Preset {
        id: "gemini",
        aliases: &["google"],
        base_url: Some("https://generativelanguage.googleapis.com/v1beta/openai"),
        base_url_env: &["GEMINI_BASE_URL"],
        key_env: &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
        model_env: &["GEMINI_MODEL"],
        interim: true,
        ..HOST
    },
    Preset {
        id: "openai-compatible",
        aliases: &["compatible", "custom"],
        base_url_env: &["OPENAI_COMPATIBLE_BASE_URL"],
        key_env: &["OPENAI_COMPATIBLE_API_KEY"],
        model_env: &["OPENAI_COMPATIBLE_MODEL"],
        ..LOCAL
    },
    missing("bedrock", &["aws-bedrock"], "bedrock.converse"),
    missing("vertex", &["vertexai", "vertex_ai"], "gemini.generate over Google Cloud credentials"),
    missing("cohere", &[], "cohere.chat"),
    missing("replicate", &[], "replicate.predictions"),
    missing("sagemaker", &[], "sagemaker.invoke"),
    missing("watsonx", &[], "watsonx.text"),
];
