//! A scripted provider: each connection serves the script's replies in order, as raw bytes.
#![allow(dead_code, reason = "every test file uses its own part of this")]

pub mod scripted;
pub mod simulated;

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use fairlead::Engine;
use fairlead::call::{Call, CallOptions, Operation};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// One thing the provider does for a request.
#[derive(Clone, Debug)]
pub enum Act {
    Send(Vec<u8>),
    Pause(Duration),
    Close,
    Hang,
}

#[derive(Clone)]
pub struct Provider {
    pub address: SocketAddr,
    script: Arc<Mutex<VecDeque<Vec<Act>>>>,
    pub requests: Arc<Mutex<Vec<String>>>,
    pub connections: Arc<AtomicUsize>,
}

impl Provider {
    pub async fn start(script: Vec<Vec<Act>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let provider = Self {
            address: listener.local_addr().unwrap(),
            script: Arc::new(Mutex::new(script.into())),
            requests: Arc::default(),
            connections: Arc::default(),
        };
        let served = provider.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                served.connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(served.clone().serve(stream));
            }
        });
        provider
    }

    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    async fn serve(self, mut stream: TcpStream) {
        while let Some(request) = read_request(&mut stream).await {
            self.requests.lock().push(request);
            let Some(acts) = self.script.lock().pop_front() else { return };
            for act in acts {
                match act {
                    Act::Send(bytes) => {
                        if stream.write_all(&bytes).await.is_err() {
                            return;
                        }
                    }
                    Act::Pause(pause) => tokio::time::sleep(pause).await,
                    Act::Close => return,
                    Act::Hang => std::future::pending().await,
                }
            }
        }
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut all = Vec::new();
    let mut block = [0_u8; 8192];
    loop {
        let text = String::from_utf8_lossy(&all).into_owned();
        if let Some(end) = text.find("\r\n\r\n") {
            let length = text
                .lines()
                .find_map(|line| {
                    line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned)
                })
                .map_or(0, |length| length.trim().parse::<usize>().unwrap());
            if all.len() >= end + 4 + length {
                return Some(text);
            }
        }
        let read = stream.read(&mut block).await.ok()?;
        if read == 0 {
            return None;
        }
        all.extend_from_slice(&block[..read]);
    }
}

/// A whole HTTP reply.
pub fn http(status: u16, headers: &str, body: &str) -> Vec<Act> {
    vec![Act::Send(
        format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len())
            .into_bytes(),
    )]
}

/// A completion that says `text`.
pub fn ok(text: &str) -> Vec<Act> {
    http(
        200,
        "x-request-id: req_1\r\n",
        &format!(
            r#"{{"id":"c1","object":"chat.completion","created":1,"model":"m","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}}}"#
        ),
    )
}

/// An OpenAI-shaped error.
pub fn fail(status: u16) -> Vec<Act> {
    http(status, "", &format!(r#"{{"error":{{"message":"no {status}","type":"t","code":null}}}}"#))
}

/// The head of an event stream, closed by the end of the connection.
pub fn stream_head() -> Act {
    Act::Send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n".to_vec())
}

/// One chunk event.
pub fn chunk(delta: &str, finish: &str) -> Act {
    Act::Send(
        format!(
            r#"data: {{"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{{"index":0,"delta":{delta},"finish_reason":{finish}}}]}}"#
        )
        .into_bytes()
        .into_iter()
        .chain(*b"\n\n")
        .collect(),
    )
}

pub fn done() -> Act {
    Act::Send(b"data: [DONE]\n\n".to_vec())
}

/// An engine with one model `m` over the given base URLs, in order; `extra` is TOML for the rest.
pub fn engine(base_urls: &[String], extra: &str) -> Arc<Engine> {
    let mut text = extra.to_owned();
    for base_url in base_urls {
        let _ = write!(
            text,
            "\n[[models.m.deployments]]\nprovider = \"openai\"\nmodel = \"up\"\napi_key = \"sk-test\"\nbase_url = \"{base_url}\"\n"
        );
    }
    Engine::new(toml::from_str(&text).unwrap()).unwrap()
}

pub fn chat(stream: bool) -> Call {
    chat_with(stream, CallOptions::default())
}

pub fn chat_with(stream: bool, options: CallOptions) -> Call {
    let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}}],"stream":{stream}}}"#);
    Call { operation: Operation::Chat, body: Bytes::from(body), options }
}

/// A call for `model`.
pub fn chat_for(model: &str) -> Call {
    let body = format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"hi"}}]}}"#);
    Call { operation: Operation::Chat, body: Bytes::from(body), options: CallOptions::default() }
}
