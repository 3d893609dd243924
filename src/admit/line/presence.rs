//! Who is there, in the line or aside: how many, and who gives way first.

use std::collections::{BTreeMap, BTreeSet};

use super::away::Crowd;
use super::settings::Settings;

/// Waiters by priority and age.
type Crowded = BTreeSet<(u8, u64)>;

/// All who are there.
#[derive(Debug, Default)]
pub(super) struct Presence {
    all: Crowded,
    tenants: BTreeMap<u64, Crowded>,
}

/// May one more come?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    Free,
    /// This one gives way.
    InPlaceOf(u64, Crowd),
    None(Crowd, usize),
}

impl Presence {
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn insert(&mut self, tenant: u64, class: u8, ticket: u64) {
        self.all.insert((class, ticket));
        self.tenants.entry(tenant).or_default().insert((class, ticket));
    }

    pub(super) fn remove(&mut self, tenant: u64, class: u8, ticket: u64) {
        self.all.remove(&(class, ticket));
        if let Some(own) = self.tenants.get_mut(&tenant) {
            own.remove(&(class, ticket));
            if own.is_empty() {
                self.tenants.remove(&tenant);
            }
        }
    }

    /// Is there room for one more of `tenant` with priority `class`? Whoever tries just now (`trying`) does not give way.
    pub(super) fn room(&self, tenant: u64, class: u8, trying: Option<u64>, settings: &Settings) -> Room {
        let nobody = Crowded::new();
        let own = self.tenants.get(&tenant).unwrap_or(&nobody);
        let bounds =
            [(own, settings.most_per_tenant, Crowd::Tenant), (&self.all, settings.most, Crowd::Line)];
        let Some((crowded, most, crowd)) =
            bounds.into_iter().find(|(crowded, most, _)| crowded.len() >= *most)
        else {
            return Room::Free;
        };
        match last(crowded, class, trying) {
            Some(ticket) => Room::InPlaceOf(ticket, crowd),
            None => Room::None(crowd, most),
        }
    }
}

/// The newest of the lowest priority below `class`.
fn last(crowded: &Crowded, class: u8, trying: Option<u64>) -> Option<u64> {
    (0..class).find_map(|lower| {
        let newest_first = crowded.range((lower, 0)..=(lower, u64::MAX)).rev();
        newest_first.map(|(_, ticket)| *ticket).find(|ticket| Some(*ticket) != trying)
    })
}
