//! stub
use super::presets::{self, Preset};
/// s
pub enum Name { /// s
 Qualified { /// s
 preset: &'static Preset, /// s
 model: String }, /// s
 Bare(String) }
/// s
pub fn parse(t: &str) -> Name { if let Some((p, m)) = t.split_once('/') { if let Some(preset) = presets::find(p) { return Name::Qualified { preset, model: m.into() }; } } Name::Bare(t.into()) }
