//! Hosts and their connections, shared by all snapshots: a reload opens nothing anew that is still in use.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::send::{Connect, HostOptions, Transport};
use crate::settle::Gauges;

/// Every host that a snapshot, or a call on an older one, still holds.
pub struct Hosts {
    connect: Connect,
    gauges: Arc<Gauges>,
    open: Mutex<HashMap<String, Weak<dyn Transport>>>,
}

impl fmt::Debug for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hosts").field("open", &self.open.lock().len()).finish_non_exhaustive()
    }
}

impl Hosts {
    /// None yet; `connect` makes them.
    pub fn new(connect: Connect, gauges: Arc<Gauges>) -> Self {
        Self { connect, gauges, open: Mutex::default() }
    }

    /// The host with these options. Other limits of its pool make another host.
    pub(super) fn host(&self, options: HostOptions) -> Arc<dyn Transport> {
        let key = format!("{options:?}");
        let mut open = self.open.lock();
        if let Some(known) = open.get(&key).and_then(Weak::upgrade) {
            return known;
        }
        open.retain(|_, host| host.strong_count() != 0);
        let made = (self.connect)(options, &self.gauges);
        open.insert(key, Arc::downgrade(&made));
        made
    }
}
