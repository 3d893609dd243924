//! Silence: requests go out, and nothing comes back for longer than nearly all answers took.
//!
//! A host that takes every request and answers none fails nothing before the first limit ends, and all that comes
//! meanwhile goes there to wait as well. So attempts that are out are looked at while they are out: once [`OVERDUE`]
//! of them wait beyond their usual end, and nothing that was sent as late as they has been answered, the deployment
//! is silent. One answer, or the end of these attempts, and it is not. This refuses nothing, it only reorders; that
//! they failed is told by their limits later.

use std::collections::VecDeque;
use std::time::Duration;

/// Attempts beyond their usual end that make a silence; as many failures open a breaker.
const OVERDUE: usize = 5;
/// Attempts that are looked at: the first that went out since anything was answered.
const KEPT: usize = 16;

/// The attempts of one deployment that wait, times since its beginning. Pure: no clock, no lock.
#[derive(Debug, Default)]
pub(super) struct Silence {
    /// By when they went out.
    waiting: VecDeque<Waiting>,
}

/// An attempt that waits.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    sent: Duration,
    usually_by: Duration,
}

impl Silence {
    /// An attempt went out, whose answer has usually come by then.
    pub(super) fn sent(&mut self, sent: Duration, usually_by: Duration) {
        if self.waiting.len() < KEPT {
            let place = self.waiting.partition_point(|waiting| waiting.sent <= sent);
            self.waiting.insert(place, Waiting { sent, usually_by });
        }
    }

    /// The one that was sent then was answered: so nobody who was sent before it waits in vain.
    pub(super) fn answered(&mut self, sent: Duration) {
        let later = self.waiting.partition_point(|waiting| waiting.sent <= sent);
        self.waiting.drain(..later);
    }

    /// The one that was sent then waits no longer, and that says nothing.
    pub(super) fn gone(&mut self, sent: Duration) {
        if let Some(place) = self.waiting.iter().position(|waiting| waiting.sent == sent) {
            self.waiting.remove(place);
        }
    }

    /// From when on it is silent, should nothing change until then.
    pub(super) fn begins(&self) -> Option<Duration> {
        let mut ends = [Duration::MAX; KEPT];
        ends.iter_mut().zip(&self.waiting).for_each(|(end, waiting)| *end = waiting.usually_by);
        ends.sort_unstable();
        ends.get(OVERDUE - 1).copied().filter(|_| self.waiting.len() >= OVERDUE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: Duration = Duration::from_secs(2);

    fn second(second: u64) -> Duration {
        Duration::from_secs(second)
    }

    fn waiting(seconds: impl IntoIterator<Item = u64>) -> Silence {
        let mut silence = Silence::default();
        seconds.into_iter().for_each(|at| silence.sent(second(at), second(at) + USUAL));
        silence
    }

    #[test]
    fn five_that_wait_beyond_their_usual_end_make_a_silence() {
        assert_eq!(waiting(0..4).begins(), None);
        assert_eq!(waiting(0..5).begins(), Some(second(6)), "when the fifth is overdue");
        assert_eq!(waiting(0..1000).begins(), Some(second(6)), "later ones change nothing");
    }

    #[test]
    fn an_answer_ends_it_for_all_that_were_sent_before() {
        let mut silence = waiting(0..10);
        silence.answered(second(2));
        assert_eq!(silence.begins(), Some(second(9)));
        silence.answered(second(9));
        assert_eq!(silence.begins(), None);
    }

    #[test]
    fn an_old_answer_says_nothing_of_what_was_sent_after_it() {
        let mut silence = waiting(10..15);
        silence.answered(second(3));
        assert_eq!(silence.begins(), Some(second(16)));
    }

    #[test]
    fn who_waits_no_longer_is_no_evidence() {
        let mut silence = waiting(0..5);
        silence.gone(second(3));
        assert_eq!(silence.begins(), None);
        silence.gone(second(77));
        silence.sent(second(6), second(8));
        assert_eq!(silence.begins(), Some(second(8)));
    }
}
