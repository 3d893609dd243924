//! What a deployment has been doing: counts, speeds, room, and whether it rests or is set aside.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::aside::{Aside, Offence};
use super::breaker::Breaker;
use super::calibration::Calibration;
use super::pace::{self, DECAY, Pace};
use super::published::Published;
use super::relation::Relation;
use super::rest::Rest;
use super::room::Room;
use super::silence::Silence;
use super::surge::Surge;
use super::tally::{Counted, Tally};
use super::{Histogram, hash};
use crate::clock::{self, Instant};
use crate::retry::allowance::Allowance;

/// Seconds in which the counts that peers are compared by fall to 1/e.
const MINUTE: f64 = 60.0;
/// Answers of which percentiles are believed.
const SAMPLES: u64 = 50;
/// Answers that the mean length looks back on, about.
const LENGTHS: f64 = 64.0;
/// An answer is overdue after so many times what all but one in a hundred took.
const OVERDUE: f64 = 1.5;
/// And never sooner than this: nobody notices a shorter stutter.
const SOONEST: Duration = Duration::from_secs(1);

/// What a deployment has been doing.
#[derive(Debug, Default)]
pub struct Deployment {
    /// Attempts that are running.
    pub in_flight: AtomicU64,
    /// Attempts that answered.
    pub successes: AtomicU64,
    /// Attempts that failed in a way a breaker sees.
    pub failures: AtomicU64,
    /// Attempts that were refused for being too many.
    pub throttles: AtomicU64,
    /// How many tokens it counts for a prompt.
    pub calibration: Calibration,
    /// How long whole replies took.
    pub durations: Histogram,
    /// How long streams took to their first content.
    pub first_tokens: Histogram,
    /// The same, each brought to one size ([`pace::size`]).
    pub durations_by_size: Histogram,
    /// How many tokens complete answers had.
    pub outputs: Histogram,
    /// Its place among others, the same in every process.
    pub seat: u64,
    /// Is it left alone after failures?
    pub breaker: Arc<Breaker>,
    /// How many retries its own traffic pays for.
    pub allowance: Allowance,
    /// Left alone by all keys, on its word.
    pub rest: Rest,
    /// Those with its keys, by fingerprint.
    relations: Mutex<HashMap<u64, Arc<Relation>>>,
    aside: Aside,
    silence: Mutex<Silence>,
    /// When [`Silence`] begins, since the origin; 0 is never.
    silent_from: AtomicU64,
    /// Failures since the last answer.
    in_a_row: AtomicU32,
    recent: Published<4>,
    minute: Published<4>,
    room: Published<2>,
    surge: Published<2>,
    whole: Published<5>,
    streamed: Published<5>,
    /// The mean tokens of an answer, and of how many.
    lengths: Published<2>,
}

/// How a deployment answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// In one piece: its speed is the duration, brought to one length.
    Whole,
    /// As a stream: its speed is the time to first content.
    Streamed,
}

impl Deployment {
    pub(super) fn new(identity: &str, origin: Instant) -> Self {
        let seat = hash::hash([identity]);
        Self {
            seat,
            breaker: Arc::new(Breaker::new(origin, seat)),
            allowance: Allowance::new(origin),
            rest: Rest::new(origin),
            aside: Aside::new(origin),
            ..Self::default()
        }
    }

    /// An attempt goes out now.
    pub fn sent(&self, form: Form, now: Instant) {
        let times = match form {
            Form::Whole => &self.durations,
            Form::Streamed => &self.first_tokens,
        };
        if times.count() >= SAMPLES
            && let Some(usual) = times.percentile(0.99)
        {
            let sent = self.age(now);
            let usually_by = sent + usual.mul_f64(OVERDUE).max(SOONEST);
            self.listen(|silence| silence.sent(sent, usually_by));
        }
    }

    /// Something came back of the attempt that went out at `sent`.
    pub fn heard(&self, sent: Instant) {
        self.listen(|silence| silence.answered(self.age(sent)));
    }

    /// The attempt that went out at `sent` has ended, and nothing came back.
    pub fn unheard(&self, sent: Instant) {
        self.listen(|silence| silence.gone(self.age(sent)));
    }

    /// Does nothing come back, however long it has been waited for?
    pub fn is_silent(&self, now: Instant) -> bool {
        // Most never are: the clocks are not compared for them.
        let from = self.silent_from.load(Ordering::Relaxed);
        from != 0 && from <= nanos(self.age(now))
    }

    fn listen(&self, change: impl FnOnce(&mut Silence)) {
        let mut silence = self.silence.lock();
        change(&mut silence);
        let from = silence.begins().map_or(0, |begins| nanos(begins).max(1));
        self.silent_from.store(from, Ordering::Relaxed);
    }

    fn age(&self, at: Instant) -> Duration {
        Duration::from_nanos(self.rest.since_origin(at))
    }

    /// An attempt answered, or a stream has begun.
    pub fn succeeded(&self, now: Instant) {
        self.successes.fetch_add(1, Ordering::Relaxed);
        self.count(Counted::Answer, now);
        self.room.change(|room| Room::from(room).answered(self.running()).into());
    }

    /// An answer was complete: failures before it are no longer in a row. The beginning of a stream is not that.
    pub fn completed(&self) {
        self.in_a_row.store(0, Ordering::Relaxed);
    }

    /// An attempt failed in a way a breaker sees. It cost at least `lost`, the limit it had: what fails fast must
    /// not look fast.
    pub fn failed(&self, lost: Duration, now: Instant) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        self.in_a_row.fetch_add(1, Ordering::Relaxed);
        self.count(Counted::Failure(lost.as_secs_f64()), now);
    }

    /// A stream broke after it had begun.
    pub fn broke(&self, lost: Duration, now: Instant) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        self.in_a_row.fetch_add(1, Ordering::Relaxed);
        self.count(Counted::Relapse(lost.as_secs_f64()), now);
    }

    /// An attempt was refused for being too many. That says nothing of its health, so peers are not compared by it.
    pub fn throttled(&self, lost: Duration, now: Instant) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        self.throttles.fetch_add(1, Ordering::Relaxed);
        self.room.change(|room| Room::from(room).throttled(self.running()).into());
        let seconds = self.since_origin(now);
        let counted = Counted::Failure(lost.as_secs_f64());
        self.recent.change(|tally| Tally::from(tally).with(counted, seconds, DECAY).into());
    }

    /// A whole reply with so many tokens of prompt and answer took so long.
    pub fn replied(&self, took: Duration, input: u64, output: u64) {
        self.durations.record(took);
        self.durations_by_size.record(took.div_f64(pace::size(input as f64, output as f64)));
    }

    /// How fast it answered, in seconds.
    pub fn measured(&self, form: Form, seconds: f64, now: Instant) {
        let at = self.since_origin(now);
        self.paces(form).change(|pace| Pace::from(pace).with(seconds, at).into());
    }

    /// How long an answer was, in tokens.
    pub fn wrote(&self, tokens: u64) {
        self.outputs.record_amount(tokens as f64);
        self.lengths.change(|[mean, count]| {
            let count = count + 1.0;
            [mean + (tokens as f64 - mean) / count.min(LENGTHS), count]
        });
    }

    /// Attempts that are running.
    pub fn running(&self) -> f64 {
        self.in_flight.load(Ordering::Relaxed) as f64
    }

    /// Failures since the last answer.
    pub fn in_a_row(&self) -> u32 {
        self.in_a_row.load(Ordering::Relaxed)
    }

    /// How attempts ended in the last ten seconds or so, throttling included.
    pub fn recent(&self, now: Instant) -> Tally {
        Tally::from(self.recent.read()).faded(self.since_origin(now), DECAY)
    }

    /// How attempts ended in the last minute or so, but for throttling.
    pub fn minute(&self, now: Instant) -> Tally {
        Tally::from(self.minute.read()).faded(self.since_origin(now), MINUTE)
    }

    /// How fast it answers.
    pub fn pace(&self, form: Form) -> Pace {
        self.paces(form).read().into()
    }

    /// The peak of [`Deployment::pace`], faded to `now`; `None` before anything was measured.
    pub fn peak(&self, form: Form, now: Instant) -> Option<f64> {
        let pace = self.pace(form);
        (pace.count > 0.0).then(|| pace.fading(self.since_origin(now)))
    }

    /// The tokens that the `share` (0 to 1) of complete answers had at most; `None` before there were enough.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded by the buckets")]
    pub fn usual_output(&self, share: f64) -> Option<u64> {
        if self.outputs.count() < SAMPLES {
            return None;
        }
        self.outputs.percentile_amount(share).map(|tokens| tokens.ceil() as u64)
    }

    /// How long a whole reply of `size` takes in all but one case of a hundred; `None` before there were enough.
    pub fn longest(&self, size: f64) -> Option<Duration> {
        if self.durations_by_size.count() < SAMPLES {
            return None;
        }
        let longest = self.durations_by_size.percentile(0.99)?;
        Some(Duration::try_from_secs_f64(longest.as_secs_f64() * size).unwrap_or(Duration::MAX))
    }

    /// The mean tokens of an answer; `None` before there was one.
    pub fn length(&self) -> Option<f64> {
        let [mean, count] = self.lengths.read();
        (count > 0.0).then_some(mean)
    }

    /// The evidence that it fails far more often than before.
    pub fn surge(&self, now: Instant) -> Surge {
        Surge::from(self.surge.read()).faded(self.since_origin(now), MINUTE)
    }

    /// How many attempts at once it takes, as far as it was learned.
    pub fn room(&self) -> Room {
        self.room.read().into()
    }

    /// What the key with this fingerprint has met here. That says nothing of the next key, nor of the same elsewhere.
    pub fn relation(&self, fingerprint: u64) -> Arc<Relation> {
        let mut relations = self.relations.lock();
        if !relations.contains_key(&fingerprint) {
            let now = clock::now();
            relations.retain(|_, relation| Arc::strong_count(relation) > 1 || relation.rest.lasts(now));
        }
        Arc::clone(relations.entry(fingerprint).or_default())
    }

    /// Sets it aside for `base` times as often as that happened in a row. It comes back to one attempt at a time.
    pub fn set_aside(&self, offence: Offence, base: Duration, now: Instant) {
        if self.aside.begin(offence, base, now) {
            self.room.change(|room| Room::from(room).returning().into());
            let at = self.since_origin(now);
            self.minute.change(|_| Tally { at, ..Tally::default() }.into());
            self.surge.change(|_| Surge { at, ..Surge::default() }.into());
            for form in [Form::Whole, Form::Streamed] {
                self.paces(form).change(|pace| Pace::from(pace).forgiven().into());
            }
        }
    }

    /// The end of its time aside, for comparison; `None` where it is not aside at `now`.
    pub fn aside_until(&self, now: Instant) -> Option<u64> {
        self.aside.until(now)
    }

    /// What it is aside for at `now`.
    pub fn offence(&self, now: Instant) -> Option<Offence> {
        self.aside.offence(now)
    }

    fn count(&self, counted: Counted, now: Instant) {
        let seconds = self.since_origin(now);
        self.recent.change(|tally| Tally::from(tally).with(counted, seconds, DECAY).into());
        self.minute.change(|tally| Tally::from(tally).with(counted, seconds, MINUTE).into());
        self.surge.change(|surge| {
            let surge = Surge::from(surge).faded(seconds, MINUTE);
            match counted {
                Counted::Answer => surge.answered(),
                Counted::Failure(_) | Counted::Relapse(_) => surge.failed(),
            }
            .into()
        });
    }

    fn paces(&self, form: Form) -> &Published<5> {
        match form {
            Form::Whole => &self.whole,
            Form::Streamed => &self.streamed,
        }
    }

    fn since_origin(&self, now: Instant) -> f64 {
        self.rest.since_origin(now) as f64 / 1e9
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
