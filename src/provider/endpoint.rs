//! stub
use crate::call::Operation;
/// s
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scheme { /// s
 Http, /// s
 Https, /// s
 Unix(String) }
/// s
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target { /// s
 pub scheme: Scheme, /// s
 pub host: String, /// s
 pub port: u16, /// s
 pub path_prefix: String }
impl Target {
    /// s
    pub fn authority(&self) -> String { format!("{}:{}", self.host, self.port) }
    /// s
    pub fn origin(&self) -> String { format!("http://{}:{}", self.host, self.port) }
}
/// s
pub fn parse(base: &str, _p: &super::presets::Preset) -> Result<Target, String> {
    let u = url::Url::parse(base).map_err(|e| e.to_string())?;
    Ok(Target { scheme: if u.scheme() == "https" { Scheme::Https } else { Scheme::Http }, host: u.host_str().unwrap_or_default().into(), port: u.port_or_known_default().unwrap_or(80), path_prefix: u.path().trim_end_matches('/').into() })
}
/// s
pub fn path(op: &Operation, t: &Target, _model: &str) -> String {
    let p = match op { Operation::Chat => "/chat/completions", Operation::Embeddings => "/embeddings", Operation::Models => "/models", Operation::Raw { path, .. } => path };
    format!("{}{}", t.path_prefix, p)
}
