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
        // A proxy does not show itself.
        let key = format!("{options:?}{:?}", *options.proxy);
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::Veiled;
    use crate::provider::{endpoint, presets};
    use crate::send::transport;

    #[tokio::test]
    async fn hosts_behind_different_proxies_share_no_connections() {
        let hosts = Hosts::new(Box::new(transport), Arc::default());
        let preset = presets::find("openai").unwrap();
        let behind = |proxy: &str| {
            let target = endpoint::parse("http://up.test/v1", preset).unwrap();
            let proxy = Veiled(Some(proxy.to_owned()));
            let (pool, bounds, connect) = Default::default();
            let connect: Duration = connect;
            hosts.host(HostOptions { target, http2: false, proxy, ca: None, connect, pool, bounds })
        };
        let (one, other) = (behind("http://one.test"), behind("http://other.test"));
        assert!(!Arc::ptr_eq(&one, &other) && Arc::ptr_eq(&one, &behind("http://one.test")));
    }
}
