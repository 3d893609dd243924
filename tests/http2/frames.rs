//! A host that speaks HTTP/2 frame by frame, well or badly; and HTTP/1.1 to whoever comes with that.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;

pub const NO_ERROR: u32 = 0;
pub const INTERNAL_ERROR: u32 = 2;
pub const REFUSED_STREAM: u32 = 7;
pub const CANCEL: u32 = 8;
pub const ENHANCE_YOUR_CALM: u32 = 11;

pub const MAX_CONCURRENT_STREAMS: u16 = 3;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Serves each connection, numbered from zero, with `serve`; what breaks there ends that connection.
pub async fn host<F, S>(serve: F) -> (SocketAddr, Arc<AtomicUsize>)
where
    F: Fn(usize, Peer) -> S + Send + 'static,
    S: Future<Output = io::Result<()>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let number = counted.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(serve(number, Peer { socket }));
        }
    });
    (address, connections)
}

/// Whoever has connected.
pub struct Peer {
    socket: TcpStream,
}

impl Peer {
    /// HTTP/2 with these settings, or HTTP/1.1, as the peer begins.
    pub async fn greet(mut self, settings: &[(u16, u32)]) -> io::Result<Spoken> {
        let mut start = [0; 24];
        self.socket.peek(&mut start).await?;
        if start[0] != b'P' || start[1] != b'R' {
            return Ok(Spoken::Http1(self.socket));
        }
        self.socket.read_exact(&mut start).await?;
        assert_eq!(start, PREFACE);
        let mut wire = Wire { socket: self.socket };
        wire.settings(settings).await?;
        Ok(Spoken::Http2(wire))
    }

    /// HTTP/2, and nothing else.
    pub async fn http2(self, settings: &[(u16, u32)]) -> Wire {
        match self.greet(settings).await.unwrap() {
            Spoken::Http2(wire) => wire,
            Spoken::Http1(_) => panic!("HTTP/1.1 where HTTP/2 was expected"),
        }
    }
}

pub enum Spoken {
    Http1(TcpStream),
    Http2(Wire),
}

/// A frame.
#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

/// An HTTP/2 connection, the host's end.
pub struct Wire {
    pub socket: TcpStream,
}

impl Wire {
    pub async fn frame(&mut self) -> io::Result<Frame> {
        let mut head = [0; 9];
        self.socket.read_exact(&mut head).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        self.socket.read_exact(&mut payload).await?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        Ok(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    /// The stream of the next request that is complete; settings and pings are answered on the way.
    pub async fn request(&mut self) -> io::Result<u32> {
        loop {
            let frame = self.frame().await?;
            match frame.kind {
                SETTINGS | PING if frame.flags & ACK == 0 => {
                    let payload = if frame.kind == PING { frame.payload } else { Vec::new() };
                    self.send(frame.kind, ACK, 0, &payload).await?;
                }
                DATA | HEADERS if frame.flags & END_STREAM != 0 => return Ok(frame.stream),
                _ => {}
            }
        }
    }

    pub async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> io::Result<()> {
        self.socket.write_all(&encoded(kind, flags, stream, payload)).await
    }

    pub async fn settings(&mut self, settings: &[(u16, u32)]) -> io::Result<()> {
        let payload: Vec<u8> = settings
            .iter()
            .flat_map(|(name, value)| [&name.to_be_bytes()[..], &value.to_be_bytes()[..]].concat())
            .collect();
        self.send(SETTINGS, 0, 0, &payload).await
    }

    /// The head of a reply, 200 with this type.
    pub async fn head(&mut self, stream: u32, content_type: &str) -> io::Result<()> {
        self.send(HEADERS, END_HEADERS, stream, &head(content_type)).await
    }

    pub async fn data(&mut self, stream: u32, payload: &str) -> io::Result<()> {
        self.send(DATA, 0, stream, payload.as_bytes()).await
    }

    pub async fn end(&mut self, stream: u32) -> io::Result<()> {
        self.send(DATA, END_STREAM, stream, b"").await
    }

    /// A whole reply.
    pub async fn reply(&mut self, stream: u32, body: &str) -> io::Result<()> {
        self.head(stream, "application/json").await?;
        self.data(stream, body).await?;
        self.end(stream).await
    }

    pub async fn reset(&mut self, stream: u32, code: u32) -> io::Result<()> {
        self.send(RST_STREAM, 0, stream, &code.to_be_bytes()).await
    }

    pub async fn go_away(&mut self, last: u32, code: u32) -> io::Result<()> {
        let payload = [last.to_be_bytes(), code.to_be_bytes()].concat();
        self.send(GOAWAY, 0, 0, &payload).await
    }

    /// Answers every further request with `body`, until the peer leaves.
    pub async fn serve(&mut self, body: &str) -> io::Result<()> {
        loop {
            let stream = self.request().await?;
            self.reply(stream, body).await?;
        }
    }

    /// Reads until the peer leaves.
    pub async fn drain(&mut self) -> io::Result<()> {
        loop {
            self.frame().await?;
        }
    }
}

pub fn encoded(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// `:status: 200` from the static table, and the type as a literal (RFC 7541).
pub fn head(content_type: &str) -> Vec<u8> {
    [&[0x88, 0x0f, 0x10, u8::try_from(content_type.len()).unwrap()], content_type.as_bytes()].concat()
}

/// A field as literals.
pub fn field(name: &str, value: &str) -> Vec<u8> {
    let (name_length, value_length) = (u8::try_from(name.len()).unwrap(), u8::try_from(value.len()).unwrap());
    [&[0, name_length], name.as_bytes(), &[value_length], value.as_bytes()].concat()
}

/// Answers every HTTP/1.1 request on `socket` with `body`.
pub async fn http1(mut socket: TcpStream, body: &str) -> io::Result<()> {
    let mut request = Vec::new();
    let mut block = [0; 4096];
    loop {
        let read = socket.read(&mut block).await?;
        if read == 0 {
            return Ok(());
        }
        request.extend_from_slice(&block[..read]);
        // The requests of these tests are small JSON objects.
        if request.ends_with(b"}") {
            request.clear();
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json";
            let length = body.len();
            socket.write_all(format!("{head}\r\ncontent-length: {length}\r\n\r\n{body}").as_bytes()).await?;
        }
    }
}
