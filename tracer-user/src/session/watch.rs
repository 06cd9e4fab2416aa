//! What a session itself must know of the events: little enough to be seen in passing.

use rustc_hash::FxHashSet;
use tracer_common::{
    model,
    wire::{Header, Kind, MmGone, Switch, membarrier_state},
};
use zerocopy::FromBytes;

/// How many registered mms are told apart.
const MOST: usize = 1 << 16;

/// CPUs that have switched, and the mms that are registered for SYNC_CORE.
#[derive(Debug, Default)]
pub(super) struct Watch {
    switched: Vec<bool>,
    registered: FxHashSet<u64>,
}

impl Watch {
    /// For CPUs numbered below `possible`; those that are not online need not be waited for.
    pub(super) fn new(possible: u32, online: &[u32]) -> Self {
        let switched = (0..possible).map(|cpu| !online.contains(&cpu)).collect();
        Self { switched, registered: FxHashSet::default() }
    }

    /// Looks at a record; hands on when it was written.
    pub(super) fn see(&mut self, cpu: u32, record: &[u8]) -> Option<u64> {
        let header = model::header(record).ok()?;
        let payload = record.get(size_of::<Header>()..)?;
        if header.kind == Kind::Switch as u16 {
            if let Some(switched) = self.switched.get_mut(cpu as usize) {
                *switched = true;
            }
            if let Ok((switch, _)) = Switch::ref_from_prefix(payload) {
                self.mm(switch.prev_mm, switch.prev_state);
                self.mm(switch.next_mm, switch.next_state);
            }
        } else if header.kind == Kind::MmGone as u16
            && let Ok((gone, _)) = MmGone::ref_from_prefix(payload)
        {
            self.registered.remove(&gone.mm);
        }
        Some(header.ts)
    }

    fn mm(&mut self, mm: u64, state: u8) {
        if state & membarrier_state::SYNC_CORE != 0 && self.registered.len() < MOST {
            self.registered.insert(mm);
        }
    }

    /// Whether each CPU that was online has switched, so that its state is known.
    pub(super) fn all_known(&self) -> bool {
        self.switched.iter().all(|&switched| switched)
    }

    /// Whether an mm that is registered for SYNC_CORE exists, as far as was seen.
    pub(super) fn registered(&self) -> bool {
        !self.registered.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use zerocopy::IntoBytes;

    use super::*;

    fn record(kind: Kind, payload: &[u8]) -> Vec<u8> {
        let header = Header { ts: 5, seq: 0, kind: kind as u16, flags: 0 };
        [header.as_bytes(), payload].concat()
    }

    #[test]
    fn a_registered_mm_is_known_from_a_switch_until_it_is_gone() {
        let mut watch = Watch::new(2, &[0, 1]);
        let switch = Switch {
            prev_mm: 7,
            prev_active: 7,
            next_mm: 9,
            prev_tid: 1,
            next_tid: 2,
            next_tgid: 2,
            prev_state: 0,
            next_state: membarrier_state::SYNC_CORE,
            prev_frame: 0,
            next_frame: 0,
        };
        assert_eq!(watch.see(0, &record(Kind::Switch, switch.as_bytes())), Some(5));
        assert!(watch.registered() && !watch.all_known());
        let gone = |mm| record(Kind::MmGone, &[u64::to_le_bytes(mm), [0; 8]].concat());
        watch.see(1, &gone(7));
        assert!(watch.registered());
        watch.see(1, &gone(9));
        assert!(!watch.registered());
        assert_eq!(watch.see(1, &[1, 2, 3]), None);
        watch.see(1, &record(Kind::Switch, &[]));
        assert!(watch.all_known());
    }
}
