//! The language of routing rules, and which rule decides.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    clippy::float_cmp,
    clippy::disallowed_methods,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss
)]

mod bounds;
mod call;
mod expression;
mod generate;
mod language;
mod oracle;
mod random;
mod reference;
mod rules;
