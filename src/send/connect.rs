//! Opening a connection: name resolution, racing addresses, TLS.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::Broken;
use super::tls;
use super::wire::{Socket, Wire};
use crate::clock;
use crate::error::Kind;
use crate::provider::endpoint::{Scheme, Target};

/// Between two addresses of one name (RFC 8305 recommends 250 ms).
const STAGGER: Duration = Duration::from_millis(250);
/// Probes on an idle TCP connection.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// Opens a connection to `target`. Names are looked up anew each time, so that DNS changes take hold.
pub(super) async fn connect(target: &Target, trust: &tls::Trust) -> Result<Wire, Broken> {
    if let Scheme::Unix(path) = &target.scheme {
        return unix(path).await;
    }
    let tcp = tcp(target).await?;
    if target.scheme == Scheme::Http {
        return Ok(Wire::new(Socket::Tcp(tcp)));
    }
    let config = trust.config().await?;
    let name = ServerName::try_from(target.host.clone())
        .map_err(|_| Broken::new(Kind::Tls, format!("`{}` is not a name TLS can verify", target.host)))?;
    let tls = TlsConnector::from(Arc::clone(&config)).connect(name, tcp).await;
    tls.map(|tls| Wire::new(Socket::Tls(Box::new(tls)))).map_err(|cause| trust.explain(&cause, target))
}

#[cfg(unix)]
async fn unix(path: &str) -> Result<Wire, Broken> {
    match tokio::net::UnixStream::connect(path).await {
        Ok(stream) => Ok(Wire::new(Socket::Unix(stream))),
        Err(cause) => Err(local(&cause).unwrap_or_else(|| {
            Broken::new(Kind::Connect, format!("cannot connect to unix:{path}: {cause}"))
        })),
    }
}

#[cfg(not(unix))]
async fn unix(path: &str) -> Result<Wire, Broken> {
    Err(Broken::new(Kind::Connect, format!("unix sockets are not available here: unix:{path}")))
}

async fn tcp(target: &Target) -> Result<TcpStream, Broken> {
    let addresses = resolve(target).await?;
    match race(addresses).await {
        Ok(stream) => {
            // Neither option decides whether the connection works.
            let _ = stream.set_nodelay(true);
            let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE);
            let _ = SockRef::from(&stream).set_tcp_keepalive(&keepalive);
            Ok(stream)
        }
        Err(cause) => Err(local(&cause).unwrap_or_else(|| {
            let message = format!("cannot connect to {}:{}: {cause}", target.host, target.port);
            Broken::new(Kind::Connect, message)
        })),
    }
}

/// What this machine lacks for a connection, where that is why there is none.
pub(super) fn local(cause: &io::Error) -> Option<Broken> {
    // ENFILE and EMFILE are the same number on every Unix; the third is WSAEMFILE.
    if matches!(cause.raw_os_error(), Some(23 | 24 | 10_024)) {
        let message = format!("no file descriptor is free for a connection: {cause}");
        return Some(Broken::new(Kind::LocalResource, message));
    }
    (cause.kind() == io::ErrorKind::AddrNotAvailable).then(|| {
        let message = format!("this machine has no address or port left to connect from: {cause}");
        Broken::new(Kind::Connect, message)
    })
}

/// A resolver that got no descriptor reports a name that does not exist: is there one?
fn exhausted() -> Option<Broken> {
    let opened = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None);
    opened.err().and_then(|cause| local(&cause))
}

async fn resolve(target: &Target) -> Result<Vec<SocketAddr>, Broken> {
    let host = target.host.trim_start_matches('[').trim_end_matches(']');
    let found = tokio::net::lookup_host((host, target.port)).await;
    let addresses: Vec<_> = match found {
        Ok(addresses) => addresses.collect(),
        Err(cause) => {
            let unresolved =
                || Broken::new(Kind::Dns, format!("the name `{host}` does not resolve: {cause}"));
            return Err(local(&cause).or_else(exhausted).unwrap_or_else(unresolved));
        }
    };
    if addresses.is_empty() {
        return Err(Broken::new(Kind::Dns, format!("the name `{host}` has no address")));
    }
    Ok(alternate(addresses))
}

/// The resolver's order, with the two families taking turns (RFC 8305, section 4).
fn alternate(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let mut second = second.into_iter();
    let mut order = Vec::new();
    for address in first {
        order.push(address);
        order.extend(second.next());
    }
    order.extend(second);
    order
}

/// The first address that answers; each gets a head start of [`STAGGER`] over the next (RFC 8305).
async fn race(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut waiting = addresses.into_iter();
    let mut running = FuturesUnordered::new();
    let mut last = io::Error::new(io::ErrorKind::NotFound, "no address");
    running.extend(waiting.next().map(TcpStream::connect));
    loop {
        let head_start = clock::sleep_until(clock::now() + STAGGER);
        tokio::select! {
            biased;
            finished = running.next() => match finished {
                Some(Ok(stream)) => return Ok(stream),
                Some(Err(cause)) => {
                    last = cause;
                    running.extend(waiting.next().map(TcpStream::connect));
                }
                None => return Err(last),
            },
            () = head_start => running.extend(waiting.next().map(TcpStream::connect)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_families_take_turns_in_the_resolvers_order() {
        let parse = |text: &str| text.parse::<SocketAddr>().unwrap();
        let given = ["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "2.2.2.2:1"].map(parse).to_vec();
        let wanted = ["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"].map(parse).to_vec();
        assert_eq!(alternate(given), wanted);
    }
}
