//! fairlead

pub mod chat;
pub mod clock;
pub mod error;
pub mod send;
