//! Bare reqwest under the measures of the benchmarks: `floor MEASURE BASE_URL IN_FLIGHT SECONDS` prints one JSON
//! object, as `measures.py` does for the Python clients. Bodies are read whole and events counted; nothing is parsed.

mod measure;
mod process;

use std::error::Error;
use std::time::Duration;

use reqwest::Client;

type Failure = Box<dyn Error + Send + Sync>;

/// What one process measures, from its arguments.
#[derive(Clone)]
pub(crate) struct Run {
    client: Client,
    base_url: String,
    in_flight: usize,
    seconds: Duration,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [measure, base_url, in_flight, seconds] = arguments.as_slice() else {
        return Err("usage: floor MEASURE BASE_URL IN_FLIGHT SECONDS".into());
    };
    let run = Run {
        client: Client::builder().no_proxy().build()?,
        base_url: base_url.clone(),
        in_flight: in_flight.parse()?,
        seconds: Duration::from_secs_f64(seconds.parse()?),
    };
    println!("{}", measure::by_name(&run, measure).await?);
    Ok(())
}
