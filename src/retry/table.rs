//! The table that says what a failed response means: plain data, read from the top, the first row that fits wins.
//!
//! Small nets come before large ones: rows of one provider, then codes that mean one thing wherever they appear,
//! then wording, then the bare status. The last row catches everything. Sources are the providers' own error pages
//! and recorded traffic; a code is compared in lower case with every code, type, status and reason that the body or
//! its headers name, and wording is searched in the provider's sentences only, never in echoed input.

use std::ops::RangeInclusive;

use crate::error::Kind;

/// One row.
#[derive(Debug)]
pub struct Row {
    /// What it is called in tests and documentation.
    pub name: &'static str,
    /// The providers it holds for; empty is any.
    pub providers: &'static [&'static str],
    /// The statuses it holds for.
    pub status: RangeInclusive<u16>,
    /// Codes of which one must be named; empty asks for none. `*` at either end stands for any text.
    pub codes: &'static [&'static str],
    /// Wording of which one must be said; empty asks for none.
    pub says: &'static [&'static str],
    /// Further wording of which one must be said as well.
    pub also_says: &'static [&'static str],
    /// What it means.
    pub kind: Kind,
    /// The same request can never succeed here, whatever the kind usually allows.
    pub hopeless: bool,
}

/// What a row is compared with.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The preset's id.
    pub provider: &'a str,
    /// The HTTP status, or the one that an in-band error stands for.
    pub status: u16,
    /// Codes, types, statuses and reasons, lower-case.
    pub marks: &'a [String],
    /// The provider's sentences, lower-case.
    pub said: &'a str,
}

impl Row {
    /// Does the row hold for what was seen?
    pub fn fits(&self, seen: &Seen<'_>) -> bool {
        let said = |words: &[&str]| words.is_empty() || words.iter().any(|words| seen.said.contains(words));
        self.status.contains(&seen.status)
            && (self.providers.is_empty() || self.providers.contains(&seen.provider))
            && (self.codes.is_empty() || seen.marks.iter().any(|mark| names(self.codes, mark)))
            && said(self.says)
            && said(self.also_says)
    }
}

fn names(codes: &[&str], mark: &str) -> bool {
    codes.iter().any(|code| match (code.strip_prefix('*'), code.strip_suffix('*')) {
        (Some(inner), Some(_)) => mark.contains(inner.trim_end_matches('*')),
        (Some(end), None) => mark.ends_with(end),
        (None, Some(start)) => mark.starts_with(start),
        (None, None) => mark == *code,
    })
}

/// The first row that fits; the last one fits everything.
pub fn find(seen: &Seen<'_>) -> &'static Row {
    ROWS.iter().find(|row| row.fits(seen)).unwrap_or(&ANY)
}

const fn row(name: &'static str, status: RangeInclusive<u16>, kind: Kind) -> Row {
    Row { name, providers: &[], status, codes: &[], says: &[], also_says: &[], kind, hopeless: false }
}

const fn coded(name: &'static str, kind: Kind, codes: &'static [&'static str]) -> Row {
    Row { codes, ..row(name, ERRORS, kind) }
}

const fn worded(
    name: &'static str,
    status: RangeInclusive<u16>,
    kind: Kind,
    says: &'static [&'static str],
) -> Row {
    Row { says, ..row(name, status, kind) }
}

const ERRORS: RangeInclusive<u16> = 400..=u16::MAX;
const CLIENT: RangeInclusive<u16> = 400..=499;
const REQUEST: RangeInclusive<u16> = 400..=428;
const SERVER: RangeInclusive<u16> = 500..=599;

/// What everything else is: a server that answered nonsense.
static ANY: Row = row("any", 0..=u16::MAX, Kind::Server);

/// The table.
pub static ROWS: &[Row] = &[
    // One provider's own meaning.
    Row {
        providers: &["groq"],
        codes: &["tool_use_failed"],
        ..row("groq tool call sampling", CLIENT, Kind::Server)
    },
    Row {
        providers: &["zhipu", "zai"],
        codes: &["1113", "1112", "1121"],
        ..row("zhipu account", ERRORS, Kind::Quota)
    },
    Row {
        providers: &["zhipu", "zai"],
        codes: &["1301"],
        ..row("zhipu content", ERRORS, Kind::ContentFiltered)
    },
    Row { providers: &["zhipu", "zai"], codes: &["1211"], ..row("zhipu model", ERRORS, Kind::NotFound) },
    Row { providers: &["minimax"], codes: &["1008"], ..row("minimax balance", ERRORS, Kind::Quota) },
    Row { providers: &["minimax"], codes: &["1002"], ..row("minimax rate", ERRORS, Kind::RateLimit) },
    // DashScope says `insufficient_quota` for a limit per minute.
    Row {
        providers: &["dashscope", "alibaba"],
        says: &["allocated quota exceeded"],
        ..row("dashscope throttle", 429..=429, Kind::RateLimit)
    },
    Row {
        providers: &["openrouter"],
        codes: &["*_daily"],
        ..row("openrouter daily limit", 429..=429, Kind::Quota)
    },
    Row {
        providers: &["openrouter"],
        says: &["free-models-per-day"],
        ..row("openrouter free daily limit", 429..=429, Kind::Quota)
    },
    worded("gemini limit of zero", 429..=429, Kind::Quota, &["limit: 0,", "limit: 0\n"]),
    Row { codes: &["*perday*"], ..row("gemini limit per day", 429..=429, Kind::Quota) },
    Row {
        says: &["request too large for", "request too large:"],
        also_says: &["tokens per min", "(tpm)"],
        hopeless: true,
        ..row("larger than the limit per minute", 413..=429, Kind::RateLimit)
    },
    // Codes that mean one thing wherever they appear.
    coded(
        "quota code",
        Kind::Quota,
        &[
            "insufficient_quota",
            "insufficient_user_quota",
            "billing_error",
            "billing_hard_limit_reached",
            "enforced_spend_limit_reached",
            "exceeded_current_quota_error",
            "insufficient_balance",
            "insufficientbalance",
            "accountoverdueerror",
            "setlimitexceeded",
            "quotaexceeded",
            "quotaexceeded.*",
            "arrearage",
            "allocationquota.freetieronly",
        ],
    ),
    coded(
        "context code",
        Kind::ContextLength,
        &[
            "context_length_exceeded",
            "context_window_exceeded",
            "too_many_tokens",
            "exceed_context_size_error",
            "model_max_prompt_tokens_exceeded",
        ],
    ),
    coded(
        "content code",
        Kind::ContentFiltered,
        &[
            "content_filter",
            "content_filtered",
            "content_policy_violation",
            "responsibleaipolicyviolation",
            "*sensitivecontentdetected*",
            "data_inspection_failed",
            "datainspectionfailed",
            "prompt_blocked",
        ],
    ),
    coded(
        "model code",
        Kind::NotFound,
        &[
            "model_not_found",
            "model_not_exist",
            "deploymentnotfound",
            "modelnotopen",
            "invalidendpointormodel*",
            "invalidendpoint.*",
            "not_found_error",
            "resourcenotfoundexception",
        ],
    ),
    coded(
        "key code",
        Kind::Authentication,
        &[
            "invalid_api_key",
            "api_key_invalid",
            "authentication_error",
            "authenticationerror",
            "unauthenticated",
            "unrecognizedclientexception",
            "expiredtokenexception",
        ],
    ),
    coded(
        "permission code",
        Kind::PermissionDenied,
        &["unsupported_country_region_territory", "permission_error", "accessdeniedexception"],
    ),
    coded(
        "overload code",
        Kind::Overloaded,
        &["overloaded_error", "engine_overloaded*", "serveroverloaded", "modelnotreadyexception"],
    ),
    coded(
        "throttle code",
        Kind::RateLimit,
        &[
            "rate_limit_exceeded",
            "rate_limit_error",
            "rate_limit_reached_error",
            "rate_limited",
            "ratelimitreached",
            "ratelimitexceeded*",
            "*rpmexceeded",
            "*tpmexceeded",
            "throttlingexception",
            "throttling*",
            "toomanyrequestsexception",
        ],
    ),
    // Wording, where the status or the code misleads.
    worded(
        "quota wording",
        ERRORS,
        Kind::Quota,
        &[
            "insufficient balance",
            "insufficient credit",
            "credit balance is too low",
            "requires more credits",
            "doesn't have any credits",
            "does not have any credits",
            "overdue balance",
            "billing hard limit",
            "no resource package",
            "余额不足",
            "额度不足",
            "额度已用尽",
            "配额不足",
            "欠费",
        ],
    ),
    worded(
        "key wording",
        400..=403,
        Kind::Authentication,
        &[
            "invalid api key",
            "incorrect api key",
            "api key not valid",
            "invalid subscription key",
            "security token included in the request is invalid",
            "无效的令牌",
        ],
    ),
    worded("context wording", REQUEST, Kind::ContextLength, CONTEXT_WORDING),
    worded("context wording of a server", SERVER, Kind::ContextLength, CONTEXT_WORDING),
    worded(
        "content wording",
        REQUEST,
        Kind::ContentFiltered,
        &[
            "content management policy",
            "content policy",
            "content filtering policy",
            "requires moderation",
            "input was flagged",
            "rejected as a result of our safety system",
            "may contain sensitive information",
            "may contain inappropriate content",
        ],
    ),
    worded("region wording", 400..=400, Kind::PermissionDenied, &["location is not supported"]),
    worded(
        "model wording",
        400..=400,
        Kind::NotFound,
        &[
            "model identifier is invalid",
            "supported models are",
            "on-demand throughput isn",
            "model not exist",
            "model not found",
            "unknown model",
            "is not a valid model",
            "not a valid model id",
        ],
    ),
    Row {
        also_says: &["does not exist", "not found", "is not supported for this api"],
        ..worded(
            "missing model",
            400..=400,
            Kind::NotFound,
            &["the model `", "the model '", "requested model"],
        )
    },
    worded("no channel for the model", 503..=503, Kind::NotFound, &["无可用渠道"]),
    worded("overload wording of a relay", 429..=429, Kind::Overloaded, &["负载已饱和"]),
    worded(
        "overload wording",
        SERVER,
        Kind::Overloaded,
        &["overloaded", "over capacity", "at capacity", "too busy", "currently busy", "is currently loading"],
    ),
    worded("throttle wording", 413..=413, Kind::RateLimit, &["rate limit", "tokens per minute"]),
    // The bare status.
    row("redirect", 300..=399, Kind::Redirect),
    row("400", 400..=400, Kind::BadRequest),
    row("401", 401..=401, Kind::Authentication),
    row("402", 402..=402, Kind::Quota),
    row("403", 403..=403, Kind::PermissionDenied),
    row("404", 404..=404, Kind::NotFound),
    row("408", 408..=408, Kind::Server),
    row("409", 409..=409, Kind::Conflict),
    row("422", 422..=422, Kind::Unprocessable),
    row("429", 429..=429, Kind::RateLimit),
    Row { providers: &["groq"], ..row("groq flex capacity", 498..=498, Kind::Overloaded) },
    row("other 4xx", CLIENT, Kind::Status),
    row("529", 529..=529, Kind::Overloaded),
];

const CONTEXT_WORDING: &[&str] = &[
    "maximum context length",
    "max context length",
    "exceeds the context window",
    "exceed the context window",
    "exceeds the available context size",
    "prompt is too long",
    "prompt too long",
    "input is too long",
    "input tokens exceeded",
    "input length exceeds",
    "maximum number of tokens allowed",
    "maximum prompt length",
    "maximum model length",
    "too many tokens",
    "token limit reached",
    "range of input length should be",
    "reduce the length of the messages",
];
