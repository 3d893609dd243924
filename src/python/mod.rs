//! The Python border: the only folder that knows PyO3.
//!
//! Python owns the protocol, Rust owns the work. A call enters as one dict and becomes JSON bytes in one pass
//! ([`convert`]); a task on the I/O threads ([`runtime`], [`task`]) leads it through the engine and puts what came
//! of it into the [`port`] of the event loop it was started from; the loop drains the port and resolves plain
//! `asyncio.Future`s with objects that read the reply's bytes lazily ([`model`]). The I/O threads hold numbers and
//! Rust data only: they never attach to the interpreter and never touch or drop a Python object.

mod callables;
mod client;
mod config;
mod convert;
mod desk;
mod errors;
mod estimates;
mod field;
mod hooks;
mod import;
mod listed;
mod lookup;
mod model;
mod options;
mod port;
mod primitives;
mod query;
mod reply;
mod runtime;
mod secret;
mod shared;
mod simulation;
mod stream;
mod task;
mod value;
mod verdicts;

use pyo3::prelude::*;

/// What `fairlead._core` holds.
#[pymodule]
#[pyo3(name = "_core")]
fn core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<client::Endpoint>()?;
    module.add_class::<client::Engine>()?;
    module.add_class::<desk::Desk>()?;
    module.add_class::<field::Field>()?;
    module.add_class::<hooks::Feed>()?;
    module.add_class::<model::Model>()?;
    module.add_class::<port::Port>()?;
    module.add_class::<reply::RawReply>()?;
    module.add_class::<secret::Secret>()?;
    module.add_class::<stream::StreamCore>()?;
    primitives::add(module)?;
    module.add_function(wrap_pyfunction!(callables::register_plugin, module)?)?;
    module.add_function(wrap_pyfunction!(config::load_config, module)?)?;
    module.add_function(wrap_pyfunction!(config::schema, module)?)?;
    module.add_function(wrap_pyfunction!(import::foreign, module)?)?;
    module.add_function(wrap_pyfunction!(convert::encode, module)?)?;
    module.add_function(wrap_pyfunction!(estimates::messages, module)?)?;
    module.add_function(wrap_pyfunction!(estimates::tools, module)?)?;
    module.add_function(wrap_pyfunction!(lookup::models, module)?)?;
    module.add_function(wrap_pyfunction!(lookup::presets, module)?)?;
    module.add_function(wrap_pyfunction!(lookup::profiles_of, module)?)?;
    module.add_function(wrap_pyfunction!(model::load_model, module)?)?;
    module.add_function(wrap_pyfunction!(simulation::simulate, module)?)?;
    module.add_function(wrap_pyfunction!(simulation::trace, module)?)?;
    module.add_function(wrap_pyfunction!(runtime::after_fork, module)?)?;
    module.add_function(wrap_pyfunction!(runtime::tasks, module)?)?;
    #[cfg(debug_assertions)]
    module.add_function(wrap_pyfunction!(runtime::provoke, module)?)?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    Ok(())
}
