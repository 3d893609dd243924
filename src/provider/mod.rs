//! stub
pub mod endpoint;
pub mod name;
pub mod presets;
