//! A request of the engine's own: not a call's, and with one limit over everything.

use std::time::Duration;

use bytes::Bytes;

use super::alarm::Due;
use super::reader::Reader;
use super::{Broken, Limits, Outgoing, Transport};
use crate::clock;
use crate::error::Kind;

/// Sends `request` and reads the whole answer, at most `bound` bytes, within `limit`.
///
/// # Errors
///
/// What broke below HTTP; every status is an answer.
pub async fn run(
    transport: &dyn Transport,
    request: &Outgoing,
    limit: Duration,
    bound: usize,
) -> Result<(u16, Bytes), Broken> {
    let limits = within(limit);
    let exchange = transport.send(request, &limits).await.map_err(|broken| of_errand(broken, limit))?;
    let mut reader = Reader::new(exchange.body, &exchange.headers, limits, bound)?;
    let body = reader.whole(bound).await.map_err(|broken| of_errand(broken, limit))?;
    Ok((exchange.status, body))
}

fn within(limit: Duration) -> Limits {
    let started = clock::now();
    let due = Due::after(started, limit, Kind::AttemptTimeout);
    Limits {
        started,
        pool: limit,
        connect: limit,
        write: limit,
        headers: limit,
        answer: due,
        idle: limit,
        content_idle: limit,
        deadline: due,
        tail: Duration::ZERO,
    }
}

/// Limits are named after a call's settings, which do not apply here.
fn of_errand(broken: Broken, limit: Duration) -> Broken {
    let late = matches!(
        broken.kind,
        Kind::AttemptTimeout
            | Kind::PoolTimeout
            | Kind::ConnectTimeout
            | Kind::WriteTimeout
            | Kind::HeadersTimeout
            | Kind::StreamIdleTimeout
    );
    let message = format!("no answer within {:.3} s", limit.as_secs_f64());
    if late { Broken { message, ..broken } } else { broken }
}
