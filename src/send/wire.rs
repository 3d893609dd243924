//! A socket that keeps count: what hyper does not tell about a connection is seen here, under it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// Counts of one connection, shared with whoever drives it.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    read: AtomicU64,
    written: AtomicU64,
    write_blocked: AtomicBool,
    informational: AtomicU32,
}

impl Gauge {
    /// Bytes received so far.
    pub(super) fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Bytes the socket has taken so far.
    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Is the peer refusing to take what we write?
    pub(super) fn write_blocked(&self) -> bool {
        self.write_blocked.load(Ordering::Relaxed)
    }

    /// Interim (1xx) responses seen.
    pub(super) fn informational(&self) -> u32 {
        self.informational.load(Ordering::Relaxed)
    }

    /// Notes an interim response.
    pub(super) fn count_informational(&self) {
        self.informational.fetch_add(1, Ordering::Relaxed);
    }
}

/// What carries the bytes.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    #[cfg(unix)]
    Unix(tokio::net::UnixStream),
}

/// A socket with its counts.
#[derive(Debug)]
pub(super) struct Wire {
    socket: Socket,
    gauge: Arc<Gauge>,
    broken: bool,
}

impl Wire {
    pub(super) fn new(socket: Socket) -> Self {
        Self { socket, gauge: Arc::default(), broken: false }
    }

    pub(super) fn gauge(&self) -> Arc<Gauge> {
        Arc::clone(&self.gauge)
    }

    fn write_with(
        &mut self,
        offered: usize,
        write: impl FnOnce(Pin<&mut (dyn AsyncWrite + Send + Unpin)>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if self.broken {
            return Poll::Ready(Ok(offered));
        }
        let outcome = write(match &mut self.socket {
            Socket::Tcp(tcp) => Pin::new(tcp),
            Socket::Tls(tls) => Pin::new(tls.as_mut()),
            #[cfg(unix)]
            Socket::Unix(unix) => Pin::new(unix),
        });
        self.gauge.write_blocked.store(outcome.is_pending(), Ordering::Relaxed);
        match outcome {
            // A server may answer (413, 400) and close while we still upload. The answer is in our receive
            // buffer; giving up on the write error would throw it away, so the rest of the upload is dropped
            // and reading tells what became of the request.
            Poll::Ready(Err(_)) => {
                self.broken = true;
                Poll::Ready(Ok(offered))
            }
            Poll::Ready(Ok(taken)) => {
                self.gauge.written.fetch_add(taken as u64, Ordering::Relaxed);
                Poll::Ready(Ok(taken))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let outcome = match &mut self.socket {
            Socket::Tcp(tcp) => Pin::new(tcp).poll_read(cx, buffer),
            Socket::Tls(tls) => Pin::new(tls.as_mut()).poll_read(cx, buffer),
            #[cfg(unix)]
            Socket::Unix(unix) => Pin::new(unix).poll_read(cx, buffer),
        };
        let received = buffer.filled().len() - before;
        if received > 0 {
            self.gauge.read.fetch_add(received as u64, Ordering::Relaxed);
        }
        outcome
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.write_with(bytes.len(), |socket| socket.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let offered = slices.iter().map(|slice| slice.len()).sum();
        self.write_with(offered, |socket| socket.poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.socket {
            Socket::Tcp(tcp) => tcp.is_write_vectored(),
            Socket::Tls(tls) => tls.is_write_vectored(),
            #[cfg(unix)]
            Socket::Unix(unix) => unix.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write_with(0, |socket| socket.poll_flush(cx).map_ok(|()| 0)).map_ok(|_| ())
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write_with(0, |socket| socket.poll_shutdown(cx).map_ok(|()| 0)).map_ok(|_| ())
    }
}
