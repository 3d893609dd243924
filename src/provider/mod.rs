//! Who serves: the presets as a data table, how they are named, where their endpoints are, what their headers tell,
//! which models they have and what these cost.

pub mod catalogue;
pub mod endpoint;
pub mod limit_headers;
pub mod moment;
pub mod name;
pub mod presets;
pub mod price;
