//! The event stream decoder against the grammar read line by line, whatever the network cuts.

use bytes::Bytes;
use fairlead::send::sse::{Decoder, Event, SseFault, frame};
use proptest::prelude::*;

const LIMIT: usize = 1 << 20;

/// Name and data of an event.
type Plain = (Option<Vec<u8>>, Vec<u8>);

fn plain(event: &Event) -> Plain {
    (event.name.as_ref().map(|name| name.to_vec()), event.data.to_vec())
}

fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Plain> {
    let mut decoder = Decoder::new(LIMIT, LIMIT);
    let mut events = Vec::new();
    for piece in pieces {
        decoder.push(Bytes::copy_from_slice(piece), &mut events).unwrap();
    }
    decoder.finish(&mut events);
    events.iter().map(plain).collect()
}

fn data(stream: &str) -> Vec<String> {
    decode([stream.as_bytes()]).into_iter().map(|(_, data)| String::from_utf8(data).unwrap()).collect()
}

/// The grammar as its text has it: cut into lines, then line by line.
fn reference(stream: &[u8]) -> Vec<Plain> {
    let stream = stream.strip_prefix(b"\xef\xbb\xbf").unwrap_or(stream);
    let mut unified = Vec::new();
    for (at, byte) in stream.iter().enumerate() {
        match byte {
            b'\n' if at > 0 && stream[at - 1] == b'\r' => {}
            b'\r' => unified.push(b'\n'),
            other => unified.push(*other),
        }
    }
    let (mut events, mut name, mut lines): (Vec<Plain>, Vec<u8>, Vec<Vec<u8>>) = Default::default();
    let all: Vec<&[u8]> = unified.split(|byte| *byte == b'\n').collect();
    for (number, line) in all.iter().enumerate() {
        let complete = number + 1 < all.len();
        if line.is_empty() && complete {
            let named = std::mem::take(&mut name);
            if !lines.is_empty() {
                let named = Some(named).filter(|named| !named.is_empty());
                events.push((named, std::mem::take(&mut lines).join(&b'\n')));
            }
            continue;
        }
        let (field, value) = match line.iter().position(|byte| *byte == b':') {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (*line, &b""[..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"data" => lines.push(value.to_vec()),
            b"event" => name = value.to_vec(),
            _ => {}
        }
    }
    let tail = lines.join(&b'\n');
    if tail.trim_ascii() == b"[DONE]" {
        events.push((Some(name).filter(|name| !name.is_empty()), tail));
    }
    events
}

const CRAFTED: [&str; 16] = [
    "data: {\"a\":1}\n\ndata: [DONE]\n\n",
    "data:{\"a\":1}\r\n\r\ndata: [DONE]\r\n\r\n",
    "data: a\r\rdata: b\r\r",
    "data: a\n\rdata: b\r\n\rdata: c\r\r\n\n",
    "\u{feff}data: a\n\n\u{feff}data: lost\n\ndata: b\n\n",
    ": OPENROUTER PROCESSING\n\n:\n\n: \ndata: a\n: between\ndata: b\n\n",
    "event: error\ndata: {\"error\":1}\n\ndata: next\n\n",
    "event: lost\n\ndata: a\n\nevent: x\nevent:\ndata: b\n\n",
    "id: 1\nretry: 10\n\nid\ndata\n\ndata:\n\ndata:  two\n\n",
    "data: one\ndata: two\ndata\ndata: four\n\n",
    "\n\n\ndata: a\n\n\n\n\ndata: b\n\n",
    "data: a\n\ndata: {\"unterminated\":1}",
    "data: a\n\ndata: [DONE]",
    "data: a\n\ndata: [DONE]\n",
    "data: a\n\ndata: b\ndata: [DONE]",
    "data: é你🇫\u{2028}\u{85}\n\ndatax: no\nDATA: no\n data: no\n\n",
];

#[test]
fn s5_every_cut_in_two_gives_the_same_events() {
    for stream in CRAFTED {
        let stream = stream.as_bytes();
        let expected = reference(stream);
        assert_eq!(decode([stream]), expected, "{:?}", String::from_utf8_lossy(stream));
        for cut in 0..=stream.len() {
            let (left, right) = stream.split_at(cut);
            assert_eq!(decode([left, right]), expected, "{left:?} | {right:?}");
        }
        assert_eq!(decode(stream.chunks(1)), expected);
    }
}

#[test]
fn f76_f78_f79_fields_and_line_ends() {
    assert_eq!(data("id: 1\nretry: 5\n\ndata:x\n\n"), ["x"]);
    assert_eq!(data("data: a\r\n\rdata:b\n\r\n"), ["a", "b"]);
    assert_eq!(data("data: a\ndata:\ndata:  b\n\n"), ["a\n\n b"]);
}

#[test]
fn the_tail_is_dropped_unless_it_says_done() {
    assert_eq!(data("data: a\n\ndata: b\n"), ["a"]);
    assert_eq!(data("data: a\n\ndata: [DON"), ["a"]);
    for end in ["", "\n", "\r", "\r\n"] {
        assert_eq!(data(&format!("data: a\n\ndata: [DONE]{end}")), ["a", "[DONE]"]);
    }
    assert_eq!(data("data: a\ndata: [DONE]"), Vec::<String>::new());
}

#[test]
fn names_belong_to_one_event() {
    let events = decode([&b"event: error\ndata: 1\n\ndata: 2\n\n"[..]]);
    assert_eq!(events, [(Some(b"error".to_vec()), b"1".to_vec()), (None, b"2".to_vec())]);
}

#[test]
fn f77_comments_are_counted_and_give_no_event() {
    let mut decoder = Decoder::new(LIMIT, LIMIT);
    let mut events = Vec::new();
    decoder.push(Bytes::from_static(b": ping\n\n:\n\n: cut"), &mut events).unwrap();
    decoder.push(Bytes::from_static(b" here\n\n"), &mut events).unwrap();
    assert_eq!((events.len(), decoder.comments()), (0, 3));
}

#[test]
fn an_event_within_one_read_is_not_copied() {
    let chunk = Bytes::from_static(b": x\n\nevent: e\ndata: {\"a\":1}\n\n");
    let mut events = Vec::new();
    Decoder::new(LIMIT, LIMIT).push(chunk.clone(), &mut events).unwrap();
    let range = chunk.as_ptr().addr()..chunk.as_ptr().addr() + chunk.len();
    assert!(range.contains(&events[0].data.as_ptr().addr()));
}

fn outcome(stream: &[u8], size: usize, max_event: usize, max_line: usize) -> (usize, Result<(), SseFault>) {
    let mut decoder = Decoder::new(max_event, max_line);
    let mut events = Vec::new();
    let mut result = Ok(());
    for piece in stream.chunks(size) {
        result = decoder.push(Bytes::copy_from_slice(piece), &mut events);
        if result.is_err() {
            break;
        }
    }
    let before = events.len();
    if result.is_err() {
        assert_eq!(decoder.push(Bytes::from_static(b"data: x\n\n"), &mut events), result);
        decoder.finish(&mut events);
        assert_eq!(events.len(), before, "nothing follows a fault");
    }
    (before, result)
}

#[test]
fn f80_bounds_hold_for_every_size_of_read() {
    let line = format!("data: ok\n\ndata: {}\n\n", "x".repeat(100));
    let lines = format!("data: ok\n\n{}\n", "data: 0123456789\n".repeat(10));
    let endless = format!("data: ok\n\n: {}", "x".repeat(200));
    for size in [1, 7, 1000] {
        let too_long = Err(SseFault::LineTooLong { limit: 105 });
        let too_large = Err(SseFault::EventTooLarge { limit: 99 });
        assert_eq!(outcome(line.as_bytes(), size, 1000, 105), (1, too_long));
        assert_eq!(outcome(endless.as_bytes(), size, 1000, 105), (1, too_long));
        assert_eq!(outcome(line.as_bytes(), size, 99, 1000), (1, too_large));
        assert_eq!(outcome(lines.as_bytes(), size, 99, 1000), (1, too_large));
        assert_eq!(outcome(line.as_bytes(), size, 100, 106), (2, Ok(())));
        assert_eq!(outcome(lines.as_bytes(), size, 109, 1000), (2, Ok(())));
        assert_eq!(outcome(lines.as_bytes(), size, 108, 1000).0, 1);
    }
}

fn streams() -> impl Strategy<Value = Vec<u8>> {
    let end = || prop::sample::select(vec!["\n", "\r", "\r\n"]);
    let line = prop_oneof![
        4 => "data: ?[a-z{}:\" é]{0,8}",
        2 => Just(String::new()),
        1 => "event: ?[a-z]{0,3}",
        1 => ": ?[a-z]{0,3}",
        1 => Just("data: [DONE]".to_owned()),
        1 => "(id|retry|data|event| data|dat)(: ?)?[0-9]{0,2}",
    ];
    let lines = prop::collection::vec((line, end()), 0..14);
    (any::<bool>(), lines, prop::sample::select(vec!["", "data: [DONE]", "data: x", ":"])).prop_map(
        |(marked, lines, tail)| {
            let start = if marked { "\u{feff}" } else { "" };
            let lines: String = lines.into_iter().map(|(line, end)| line + end).collect();
            format!("{start}{lines}{tail}").into_bytes()
        },
    )
}

proptest! {
    #[test]
    fn random_streams_in_random_pieces_agree_with_the_grammar(
        stream in streams(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let expected = reference(&stream);
        prop_assert_eq!(&decode([&stream[..]]), &expected);
        prop_assert_eq!(&decode(stream.chunks(1)), &expected);
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        places.extend([0, stream.len()]);
        places.sort_unstable();
        prop_assert_eq!(decode(places.windows(2).map(|pair| &stream[pair[0]..pair[1]])), expected);
    }

    #[test]
    fn any_bytes_agree_with_the_grammar(stream in prop::collection::vec(
        prop_oneof![any::<u8>(), prop::sample::select(b"\r\n:dat ".to_vec())], 0..80,
    )) {
        prop_assert_eq!(decode([&stream[..]]), reference(&stream));
        prop_assert_eq!(decode(stream.chunks(1)), reference(&stream));
    }

    #[test]
    fn what_is_framed_is_decoded_to_the_same(stream in streams()) {
        let expected: Vec<Plain> = reference(&stream).into_iter().map(|(_, data)| (None, data)).collect();
        let mut frames = Vec::new();
        expected.iter().for_each(|(_, data)| frame(data, &mut frames));
        prop_assert_eq!(decode([&frames[..]]), expected);
    }
}
