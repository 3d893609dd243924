//! What the upstream answers, told by the prefix of the path.

use std::fmt::Write as _;
use std::time::Duration;

/// How one request is answered.
#[derive(Clone, Copy)]
pub(crate) enum Answer {
    /// `/plain/...`: a completion of 1.1 KB, at once.
    Plain,
    /// `/delay/{ms}/...`: the same completion after `ms` milliseconds.
    Delayed(Duration),
    /// `/stream/...`: a whole event stream, written at once.
    Stream,
    /// `/paced/{ms}/{gap}/{events}/...`: a first event after `ms`, then one every `gap` milliseconds.
    Paced { first: Duration, gap: Duration, events: usize },
}

impl Answer {
    /// The answer that `path` asks for; `None` for a path of another shape.
    pub(crate) fn of(path: &str) -> Option<Self> {
        let mut parts = path.split('/').skip(1);
        let kind = parts.next()?;
        let mut number = || parts.next()?.parse::<u64>().ok();
        match kind {
            "plain" => Some(Self::Plain),
            "delay" => Some(Self::Delayed(Duration::from_millis(number()?))),
            "stream" => Some(Self::Stream),
            "paced" => Some(Self::Paced {
                first: Duration::from_millis(number()?),
                gap: Duration::from_millis(number()?),
                events: usize::try_from(number()?).ok()?,
            }),
            _ => None,
        }
    }
}

/// The head of every event stream.
pub(crate) const STREAM_HEAD: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

/// The chunk that ends a chunked body.
pub(crate) const STREAM_END: &str = "0\r\n\r\n";

/// Replies that are the same for every request, built once.
pub(crate) struct Replies {
    pub(crate) plain: Vec<u8>,
    pub(crate) stream: Vec<u8>,
}

impl Replies {
    /// Builds the replies, with `events` content events in the whole stream.
    pub(crate) fn new(events: usize) -> Self {
        let body = completion();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        Self { plain: (head + &body).into_bytes(), stream: whole_stream(events).into_bytes() }
    }
}

/// The content event of about 200 bytes at `position`; each has another text, as some clients take equal ones for
/// a model that is caught in a loop.
pub(crate) fn content_event(position: usize) -> String {
    event(&format!(r#"{{"content":" word{position:03}"}}"#), "null")
}

/// The events after the content: the finish reason and the end mark.
pub(crate) fn closing_events() -> String {
    event("{}", r#""stop""#) + "data: [DONE]\n\n"
}

/// One chunk of a chunked body.
pub(crate) fn chunk(body: &str) -> String {
    format!("{:x}\r\n{body}\r\n", body.len())
}

fn event(delta: &str, finish_reason: &str) -> String {
    format!(
        "data: {{\"id\":\"chatcmpl-benchmark\",\"object\":\"chat.completion.chunk\",\"created\":1760000000,\
         \"model\":\"gpt-4o-mini\",\"system_fingerprint\":\"fp_benchmark\",\"choices\":[{{\"index\":0,\
         \"delta\":{delta},\"logprobs\":null,\"finish_reason\":{finish_reason}}}]}}\n\n"
    )
}

/// `events` content events and the closing ones, eighty events (about 16 KB) to a chunk.
fn whole_stream(events: usize) -> String {
    const EVENTS_PER_CHUNK: usize = 80;
    let events: Vec<String> = (0..events).map(content_event).collect();
    let chunks: String = events.chunks(EVENTS_PER_CHUNK).map(|events| chunk(&events.concat())).collect();
    STREAM_HEAD.to_owned() + &chunks + &chunk(&closing_events()) + STREAM_END
}

/// A chat completion of 1.1 KB.
fn completion() -> String {
    let mut text = String::new();
    for number in 0..65 {
        let _ = write!(text, "token {number:02} ");
    }
    format!(
        "{{\"id\":\"chatcmpl-benchmark\",\"object\":\"chat.completion\",\"created\":1760000000,\
         \"model\":\"gpt-4o-mini\",\"choices\":[{{\"index\":0,\"message\":{{\"role\":\"assistant\",\
         \"content\":\"{text}\",\"refusal\":null,\"annotations\":[]}},\"logprobs\":null,\
         \"finish_reason\":\"stop\"}}],\"usage\":{{\"prompt_tokens\":120,\"completion_tokens\":110,\
         \"total_tokens\":230,\"prompt_tokens_details\":{{\"cached_tokens\":0,\"audio_tokens\":0}},\
         \"completion_tokens_details\":{{\"reasoning_tokens\":0,\"audio_tokens\":0}}}},\
         \"service_tier\":\"default\",\"system_fingerprint\":\"fp_benchmark\"}}"
    )
}
