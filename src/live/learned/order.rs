//! Which takes a response knows of: those that reached the host before its own request did.
//!
//! Requests overtake each other on their way, so of what was taken within [`APART`] of a request nobody can say on
//! which side of it the host saw it. The sums of all takes are marked now and then, so that both answers can be
//! had: what came surely after, and what came perhaps after.

use std::collections::VecDeque;
use std::time::Duration;

use super::Needs;
use crate::clock::Instant;

/// Requests that are sent so far apart arrive in their order: the time of a TLS handshake and a little more.
pub(super) const APART: Duration = Duration::from_millis(250);
/// Marks that are kept: a minute of them where requests are sent all the time.
const MARKS: usize = 240;

/// All that was ever taken, and when.
#[derive(Debug, Default)]
pub(super) struct Takes {
    pub(super) sum: Needs,
    /// How many.
    pub(super) count: u64,
    /// Both before a take, and when that was, about every [`APART`].
    marks: VecDeque<Mark>,
}

#[derive(Clone, Copy, Debug)]
struct Mark {
    at: Instant,
    sum: Needs,
    count: u64,
}

impl Takes {
    /// One more. Answers the sum and the number of those that came surely before it.
    pub(super) fn add(&mut self, needs: Needs, now: Instant) -> (Needs, u64) {
        if self.marks.back().is_none_or(|mark| now.saturating_duration_since(mark.at) >= APART) {
            if self.marks.len() >= MARKS {
                self.marks.pop_front();
            }
            self.marks.push_back(Mark { at: now, sum: self.sum, count: self.count });
        }
        // The takes of a mark are spread over as much again.
        let near = self.marks.partition_point(|mark| mark.at + APART * 2 <= now);
        let surely = self.marks.get(near).map_or((self.sum, self.count), |mark| (mark.sum, mark.count));
        self.sum = self.sum + needs;
        self.count += 1;
        surely
    }

    /// What was taken surely after `at`, and after which take that begins. Where that is too long ago to be known
    /// exactly, less.
    pub(super) fn surely_after(&self, at: Instant) -> (Needs, u64) {
        let first = self.marks.partition_point(|mark| mark.at < at + APART);
        let nothing = (Needs::default(), self.count);
        self.marks.get(first).map_or(nothing, |mark| (self.sum - mark.sum, mark.count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn only_what_was_sent_well_apart_has_an_order() {
        let start = clock::now();
        let one = Needs { requests: 1, ..Needs::default() };
        let at = |millis| start + Duration::from_millis(millis);
        let mut takes = Takes::default();
        let before: Vec<u64> = [0, 100, 200, 300, 600, 900].map(|millis| takes.add(one, at(millis)).1).into();
        assert_eq!(before, [0, 0, 0, 0, 3, 4], "never more than there were a quarter of a second earlier");
        let after: Vec<u64> =
            [0, 100, 400, 900].map(|millis| takes.surely_after(at(millis)).0.requests).into();
        assert_eq!(after, [3, 2, 1, 0]);
    }

    #[test]
    fn marks_are_bounded_and_what_is_forgotten_only_loosens() {
        let start = clock::now();
        let one = Needs { requests: 1, ..Needs::default() };
        let mut takes = Takes::default();
        for second in 0..1000 {
            takes.add(one, start + Duration::from_secs(second));
        }
        assert_eq!(takes.marks.len(), MARKS);
        assert_eq!(takes.surely_after(start).0.requests, 240);
    }
}
