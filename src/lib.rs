//! fairlead
