//! How many attempts at once a deployment takes, learned from its throttling and its failures.
//!
//! Additive increase, multiplicative decrease, as TCP (Chiu and Jain, 1989) and the AIMD limit of Netflix's
//! concurrency-limits (backoff 0.9) do it. Nothing is ever refused for it: a full deployment is only passed over.

/// What is left of the attempts in flight when one is throttled.
const BACKOFF: f64 = 0.9;
/// What an answer adds to the limit, divided by the limit: ten rounds of answers make room for one more.
const GROWTH: f64 = 0.1;
/// A limit that only keeps a deployment from a flood after its return is forgotten here.
const FORGOTTEN: f64 = 64.0;

/// Attempts at once; 0 is not limited.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Room {
    /// The limit.
    pub limit: f64,
    /// Below this it grows by one with each answer, as slow start does; 0 is for ever.
    pub slow_start: f64,
}

impl Room {
    /// An attempt was throttled with so many in flight, itself included. Where these are far fewer than it took before,
    /// or one, they were not too many at once: the host refuses whatever comes. Then it is asked one at a time until it
    /// answers, and what was learned of its room still holds.
    #[must_use]
    pub fn throttled(self, in_flight: f64) -> Self {
        if in_flight <= 1.0 || in_flight < self.limit / 2.0 {
            return self.returning();
        }
        let limit = (in_flight * BACKOFF).max(1.0);
        if self.limit > 0.0 && self.limit <= limit { self } else { Self { limit, slow_start: limit } }
    }

    /// An attempt answered with so many in flight, itself included.
    #[must_use]
    pub fn answered(self, in_flight: f64) -> Self {
        // Only a limit that is nearly reached is tested by an answer.
        if self.limit <= 0.0 || in_flight < self.limit / 2.0 {
            return self;
        }
        if self.slow_start <= 0.0 {
            let limit = self.limit + 1.0;
            return if limit > FORGOTTEN { Self::default() } else { Self { limit, ..self } };
        }
        let step = if self.limit < self.slow_start { 1.0 } else { GROWTH / self.limit };
        Self { limit: self.limit + step, ..self }
    }

    /// Back after it had been set aside: one at a time until it answers.
    #[must_use]
    pub fn returning(self) -> Self {
        Self { limit: 1.0, slow_start: self.slow_start }
    }

    /// Is it full with so many in flight?
    pub fn is_full(self, in_flight: f64) -> bool {
        self.limit > 0.0 && in_flight + 1.0 > self.limit.max(1.0)
    }
}

impl From<[f64; 2]> for Room {
    fn from([limit, slow_start]: [f64; 2]) -> Self {
        Self { limit, slow_start }
    }
}

impl From<Room> for [f64; 2] {
    fn from(room: Room) -> Self {
        [room.limit, room.slow_start]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_of_refusals_is_one_lesson() {
        let room =
            (21..=30).rev().fold(Room::default(), |room, in_flight| room.throttled(f64::from(in_flight)));
        assert!((room.limit - 18.9).abs() < 1e-9, "{room:?}");
        assert!(!room.is_full(17.0) && room.is_full(18.0));
    }

    #[test]
    fn who_refuses_few_where_it_took_many_teaches_nothing_of_its_room() {
        let refused = [2.0, 1.0, 1.0, 2.0, 1.0];
        let mut room = refused.into_iter().fold(Room::default().throttled(30.0), Room::throttled);
        assert!(!room.is_full(0.0) && room.is_full(1.0), "asked one at a time: {room:?}");
        for in_flight in 1..=26 {
            room = room.answered(f64::from(in_flight));
        }
        assert!(room.limit >= 27.0, "and as many as before after as many answers: {room:?}");
    }

    #[test]
    fn the_limit_grows_only_while_it_is_used_and_finds_the_true_one() {
        let room = Room::default().throttled(10.0);
        assert_eq!(room.answered(2.0), room);
        let (mut room, mut refused, mut rounds) = (room, 0, 0);
        for _ in 0..4000 {
            let in_flight = room.limit.floor();
            if in_flight > 20.0 {
                refused += 1;
                room = room.throttled(in_flight);
            } else {
                room = room.answered(in_flight);
            }
            rounds += usize::from(room.limit > 17.0);
        }
        assert!((1..=20).contains(&refused), "{refused} refused in 4000");
        assert!(rounds > 2000, "near the limit in {rounds} rounds");
    }

    #[test]
    fn who_returns_is_asked_once_then_twice_then_as_often_as_before() {
        let mut room = Room::default().returning();
        assert!(!room.is_full(0.0) && room.is_full(1.0));
        room = room.answered(1.0);
        assert!(!room.is_full(1.0) && room.is_full(2.0));
        for in_flight in 2..80 {
            room = room.answered(f64::from(in_flight));
        }
        assert_eq!(room, Room::default());
    }
}
