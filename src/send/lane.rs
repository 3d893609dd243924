//! Connections that carry many streams: requests share one, and where there is no place on it another is opened.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::settle::{Count, Open};

/// Streams of one HTTP/2 connection; more open another.
const STREAMS: u64 = 64;

/// A client of its own, and so a connection of its own where that carries many streams.
#[derive(Clone, Debug)]
struct Lane {
    client: reqwest::Client,
    in_flight: Count,
    /// Streams it carries at once, as far as is known.
    room: Arc<AtomicU64>,
    /// Has it ever carried one?
    connected: Arc<AtomicBool>,
}

/// The lanes of one host.
#[derive(Debug, Default)]
pub(super) struct Lanes(Mutex<Vec<Lane>>);

impl Lanes {
    /// A place on the first lane with room, else on a new one. Without `shared` streams any lane has room.
    pub(super) fn place<E>(
        &self,
        shared: bool,
        build: impl FnOnce() -> Result<reqwest::Client, E>,
    ) -> Result<Place, E> {
        let mut lanes = self.0.lock();
        let has_room = |lane: &&Lane| !shared || lane.in_flight.get() < lane.room.load(Ordering::Relaxed);
        if let Some(lane) = lanes.iter().find(has_room) {
            return Ok(Place::on(lane));
        }
        let lane = Lane {
            client: build()?,
            in_flight: Count::default(),
            room: Arc::new(AtomicU64::new(STREAMS)),
            connected: Arc::default(),
        };
        let place = Place::on(&lane);
        lanes.push(lane);
        Ok(place)
    }

    /// No stream could be opened from this place: the lane has room for the others on it, and no more. Where there
    /// are none, it has none at all.
    pub(super) fn is_full(&self, place: Place) {
        let room = &place.lane.room;
        room.fetch_min(place.lane.in_flight.get().saturating_sub(1), Ordering::Relaxed);
        drop(place);
        self.0.lock().retain(|lane| lane.room.load(Ordering::Relaxed) > 0);
    }

    /// The lane is worth no further stream; with the last one on it, its connection closes.
    pub(super) fn leave(&self, place: &Place) {
        self.0.lock().retain(|lane| !Arc::ptr_eq(&lane.room, &place.lane.room));
    }
}

/// A place on a lane, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    lane: Lane,
    _open: Open,
}

impl Place {
    fn on(lane: &Lane) -> Self {
        Self { lane: lane.clone(), _open: lane.in_flight.enter() }
    }

    /// What sends from here.
    pub(super) fn client(&self) -> &reqwest::Client {
        &self.lane.client
    }

    /// The lane has carried a stream.
    pub(super) fn connected(&self) {
        self.lane.connected.store(true, Ordering::Relaxed);
    }

    /// Has the lane ever carried a stream?
    pub(super) fn is_connected(&self) -> bool {
        self.lane.connected.load(Ordering::Relaxed)
    }
}
