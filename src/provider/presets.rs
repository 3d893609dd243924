//! stub
/// s
#[derive(Debug, Clone, Copy)]
pub enum Auth { /// s
 Bearer, /// s
 Header(&'static str), /// s
 None }
/// s
#[derive(Debug)]
pub struct Preset { /// s
 pub id: &'static str, /// s
 pub base_url: Option<&'static str>, /// s
 pub base_url_env: &'static [&'static str], /// s
 pub key_env: &'static [&'static str], /// s
 pub key_required: bool, /// s
 pub auth: Auth, /// s
 pub headers: &'static [(&'static str, &'static str)], /// s
 pub model_env: &'static [&'static str], /// s
 pub default_model: Option<&'static str>, /// s
 pub finish_optional: bool, /// s
 pub include_usage: bool }
static ALL: &[Preset] = &[Preset { id: "openai", base_url: Some("https://api.openai.com/v1"), base_url_env: &["OPENAI_BASE_URL"], key_env: &["OPENAI_API_KEY"], key_required: true, auth: Auth::Bearer, headers: &[], model_env: &[], default_model: None, finish_optional: false, include_usage: true }];
/// s
pub fn find(id: &str) -> Option<&'static Preset> { ALL.iter().find(|p| p.id == id) }
/// s
pub fn near(_id: &str) -> Option<&'static str> { None }
/// s
pub fn max_tokens_name(_p: &Preset, _m: &str) -> &'static str { "max_tokens" }

/// s
pub fn nearest<'a>(_name: &str, _known: impl Iterator<Item = &'a str>) -> Option<&'a str> { None }
/// s
pub fn speaks(_p: &Preset) -> Result<(), String> { Ok(()) }
