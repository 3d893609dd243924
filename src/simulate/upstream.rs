//! What one simulated upstream does with one request: pure, luck and time are arguments.

use std::time::Duration;

use super::play::{Conduct, Line, Piece, Then};
use super::scenario::{Fault, Phase, Upstream};
use crate::error::Kind;

/// The way there and back, in seconds.
const WAY: Duration = Duration::from_millis(20);
/// A refusal costs little.
const REFUSAL: Duration = Duration::from_millis(50);
/// Events of a stream that carry content, at most: fewer than a real one has, which changes no time.
const EVENTS: u64 = 12;
/// A heavy tail ends somewhere.
const LONGEST_TAIL: f64 = 100.0;

/// What a request asks.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Asked {
    /// Tokens of the prompt.
    pub(super) input: u64,
    /// Tokens of the answer.
    pub(super) output: u64,
    /// Is a stream asked for?
    pub(super) stream: bool,
}

/// Numbers that are uniform in `[0, 1)`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Luck {
    pub(super) speed: [f64; 2],
    pub(super) tail: [f64; 2],
    pub(super) fault: f64,
}

/// `exp(spread * z)` with a normal `z`: around 1.
pub(super) fn log_normal(luck: [f64; 2], spread: f64) -> f64 {
    let [one, other] = luck;
    // 1 - one is never 0.
    let normal = (-2.0 * (1.0 - one).ln()).sqrt() * (std::f64::consts::TAU * other).cos();
    (spread * normal).exp()
}

impl Upstream {
    /// How many times as long as half of the others this one takes.
    fn pace(&self, luck: &Luck) -> f64 {
        let [drawn, length] = luck.tail;
        let tail = if drawn < self.tail_share {
            (1.0 - length).powf(-1.0 / self.tail_shape).min(LONGEST_TAIL)
        } else {
            1.0
        };
        log_normal(luck.speed, self.spread) * tail
    }

    /// What becomes of a request that comes at `at`, while `phases` may hold.
    pub(super) fn conduct(&self, asked: Asked, phases: &[Phase], at: Duration, luck: &Luck) -> Conduct {
        let ill = phases.iter().filter_map(|phase| Some((phase, phase.share_at(at)?)));
        let mut pace = self.pace(luck);
        // The first phase that has a use for the draw takes it; the next sees what is left of it.
        let (mut drawn, mut met) = (luck.fault, None);
        for (phase, share) in ill {
            pace *= phase.slower;
            if let (Some(fault), None) = (phase.fault, met) {
                if drawn < share {
                    met = Some((fault, phase.retry_after));
                } else {
                    drawn = (drawn - share) / (1.0 - share).max(f64::MIN_POSITIVE);
                }
            }
        }
        let first = WAY + self.first_token.mul_f64(pace);
        let each = self.per_token.mul_f64(pace);
        match met {
            None => answer(asked, first, each, None),
            Some((fault, retry_after)) => fail(fault, retry_after, asked, first, each),
        }
    }
}

/// 429, with the wait it asks for.
pub(super) fn throttled(retry_after: Option<Duration>) -> Conduct {
    refused(429, "rate_limit_exceeded", "Rate limit reached", retry_after)
}

fn refused(status: u16, code: &str, message: &str, retry_after: Option<Duration>) -> Conduct {
    let body = format!(r#"{{"error":{{"message":"{message}","type":"{code}","code":"{code}"}}}}"#);
    let mut headers = vec![("content-type", "application/json".to_owned())];
    headers.extend(retry_after.map(|wait| ("retry-after", wait.as_secs_f64().to_string())));
    Conduct { after: REFUSAL, then: Then::Answer { status, headers, lines: Line::once(body) } }
}

fn fail(
    fault: Fault,
    retry_after: Option<Duration>,
    asked: Asked,
    first: Duration,
    each: Duration,
) -> Conduct {
    match fault {
        Fault::Refuse => Conduct { after: Duration::from_millis(1), then: Then::Break(Kind::Connect) },
        Fault::Error => refused(500, "server_error", "The server had an error", retry_after),
        Fault::Unavailable => refused(503, "service_unavailable", "Service unavailable", retry_after),
        Fault::Overloaded => refused(529, "overloaded_error", "Overloaded", retry_after),
        Fault::Throttled => throttled(retry_after),
        Fault::Hang => Conduct { after: Duration::ZERO, then: Then::Never },
        Fault::Garbage => {
            let headers = vec![("content-type", "text/html".to_owned())];
            let lines = Line::once("<html><body>Welcome</body></html>".to_owned());
            Conduct { after: first, then: Then::Answer { status: 200, headers, lines } }
        }
        Fault::Reset => Conduct { after: first, then: Then::Break(Kind::ConnectionReset) },
        Fault::CutPreamble | Fault::CutContent | Fault::CutFinish | Fault::Stall => {
            answer(asked, first, each, Some(fault))
        }
    }
}

/// An answer in its time, or as far as `cut` lets it come.
fn answer(asked: Asked, first: Duration, each: Duration, cut: Option<Fault>) -> Conduct {
    if asked.stream { streamed(asked, first, each, cut) } else { whole(asked, first, each, cut) }
}

fn usage(asked: Asked) -> String {
    let Asked { input, output, .. } = asked;
    format!(
        r#"{{"prompt_tokens":{input},"completion_tokens":{output},"total_tokens":{}}}"#,
        input.saturating_add(output)
    )
}

fn whole(asked: Asked, first: Duration, each: Duration, cut: Option<Fault>) -> Conduct {
    let body = format!(
        r#"{{"id":"sim","object":"chat.completion","created":0,"model":"sim","choices":[{{"index":0,"message":{{"role":"assistant","content":"keel"}},"finish_reason":"stop"}}],"usage":{}}}"#,
        usage(asked)
    );
    let headers = vec![("content-type", "application/json".to_owned())];
    let after = first + each.saturating_mul(u32::try_from(asked.output).unwrap_or(u32::MAX));
    let half = |body: &str| body.chars().take(body.len() / 2).collect::<String>();
    let lines = match cut {
        None => Line::once(body),
        Some(Fault::Stall) => vec![Line::now(half(&body))],
        Some(_) => vec![Line::now(half(&body)), Line::broken()],
    };
    Conduct { after, then: Then::Answer { status: 200, headers, lines } }
}

fn streamed(asked: Asked, first: Duration, each: Duration, cut: Option<Fault>) -> Conduct {
    let headers = vec![("content-type", "text/event-stream".to_owned())];
    let event = |delta: &str, finish: &str| {
        format!(
            "data: {{\"id\":\"sim\",\"object\":\"chat.completion.chunk\",\"created\":0,\"model\":\"sim\",\
             \"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{finish}}}]}}\n\n"
        )
    };
    let mut lines = vec![Line::now(event(r#"{"role":"assistant","content":""}"#, "null"))];
    let broken = |mut lines: Vec<Line>| {
        lines.push(Line::broken());
        lines
    };
    let head = |lines| Conduct { after: WAY, then: Then::Answer { status: 200, headers, lines } };
    let rest = first.saturating_sub(WAY);
    if cut == Some(Fault::CutPreamble) {
        return head(broken(lines));
    }
    let events = asked.output.clamp(1, EVENTS);
    let written = each.saturating_mul(u32::try_from(asked.output).unwrap_or(u32::MAX));
    let gap = written / u32::try_from(events).unwrap_or(1);
    for number in 0..events {
        if number == events.div_ceil(2) {
            match cut {
                Some(Fault::CutContent) => return head(broken(lines)),
                Some(Fault::Stall) => return head(lines),
                _ => {}
            }
        }
        let after = if number == 0 { rest } else { gap };
        lines.push(Line { after, piece: Piece::Bytes(event(r#"{"content":"keel "}"#, "null").into()) });
    }
    if cut == Some(Fault::CutFinish) {
        lines.push(Line { after: gap, piece: Piece::End });
        return head(lines);
    }
    let end = event("{}", r#""stop""#);
    let usage =
        format!("data: {{\"id\":\"sim\",\"choices\":[],\"usage\":{}}}\n\ndata: [DONE]\n\n", usage(asked));
    lines.push(Line { after: gap, piece: Piece::Bytes((end + &usage).into()) });
    lines.push(Line { after: Duration::ZERO, piece: Piece::End });
    head(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVEN: Luck = Luck { speed: [0.5, 0.25], tail: [0.5, 0.5], fault: 0.5 };

    fn ask(stream: bool) -> Asked {
        Asked { input: 10, output: 100, stream }
    }

    fn phase(text: &str) -> Phase {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn a_well_answer_takes_the_first_token_and_each_token() {
        let up = Upstream::default();
        let conduct = up.conduct(ask(false), &[], Duration::ZERO, &EVEN);
        let took = conduct.after.as_secs_f64();
        assert!((took - 1.62).abs() < 1e-6, "cos of a quarter turn is nothing: {took}");
    }

    #[test]
    fn a_share_of_requests_meets_the_fault_and_the_others_are_slower() {
        let up = Upstream::default();
        let ill = [phase("fault = \"overloaded\"\nshare = 0.3\nslower = 3")];
        let met = |fault: f64| up.conduct(ask(false), &ill, Duration::ZERO, &Luck { fault, ..EVEN });
        assert!(matches!(met(0.29).then, Then::Answer { status: 529, .. }));
        let spared = met(0.31);
        assert!(matches!(spared.then, Then::Answer { status: 200, .. }));
        assert!(spared.after > Duration::from_secs(4));
    }

    #[test]
    fn two_phases_that_hold_together_each_take_their_share() {
        let up = Upstream::default();
        let ill = [phase("fault = \"error\"\nshare = 0.5"), phase("fault = \"hang\"\nshare = 0.5")];
        let met = |fault: f64| up.conduct(ask(false), &ill, Duration::ZERO, &Luck { fault, ..EVEN }).then;
        assert!(matches!(met(0.4), Then::Answer { status: 500, .. }));
        assert!(matches!(met(0.6), Then::Never));
        assert!(matches!(met(0.8), Then::Answer { status: 200, .. }));
    }

    #[test]
    fn a_heavy_tail_is_at_least_as_long_and_has_an_end() {
        let up = Upstream { tail_share: 1.0, ..Upstream::default() };
        for length in [0.0, 0.5, 0.999_999] {
            let pace = up.pace(&Luck { tail: [0.0, length], ..EVEN });
            assert!((0.999..=100.001).contains(&pace), "{pace}");
        }
    }
}
