//! Reading requests off a kept-alive connection: just enough HTTP/1.1 to know the path and skip the body.

use std::io;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

/// The bytes of a connection that are read but not yet taken.
#[derive(Default)]
pub(crate) struct Received(Vec<u8>);

impl Received {
    /// The path of the next request, its body skipped; `None` when the client hung up.
    pub(crate) async fn next_path(&mut self, socket: &mut TcpStream) -> io::Result<Option<String>> {
        loop {
            if let Some((path, length)) = self.whole_request()? {
                self.0.drain(..length);
                return Ok(Some(path));
            }
            if socket.read_buf(&mut self.0).await? == 0 {
                return Ok(None);
            }
        }
    }

    /// Path and length of the first request, once all of it is here.
    fn whole_request(&self) -> io::Result<Option<(String, usize)>> {
        let Some(end) = self.0.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
            return Ok(None);
        };
        let head = std::str::from_utf8(&self.0[..end]).map_err(io::Error::other)?;
        let length = end + 4 + content_length(head)?;
        if self.0.len() < length {
            return Ok(None);
        }
        let path = head.split(' ').nth(1).ok_or_else(|| io::Error::other("no path"))?;
        Ok(Some((path.to_owned(), length)))
    }
}

fn content_length(head: &str) -> io::Result<usize> {
    for (name, value) in head.lines().filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("content-length") {
            return value.trim().parse().map_err(io::Error::other);
        }
        if name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(io::Error::other("a chunked request body is not understood here"));
        }
    }
    Ok(0)
}
