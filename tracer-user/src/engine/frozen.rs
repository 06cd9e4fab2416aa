//! An engine's state as bytes, to be taken up again later.
//!
//! Left out are the records that wait for their turn (they are read again), the short history of
//! events and the findings that were told (whoever freezes an engine keeps them, once for all). What
//! is the same is the same bytes.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde::{Serialize, de::DeserializeOwned};
use tracer_common::{model, wire::Header};

use super::{
    Counts, Engine, KINDS, Model, Observer, Told, history::History, merge, merge::Merge, names,
    names::Names, store, store::UserStore,
};

/// A state can't be written down, or not be taken up.
#[derive(Debug, thiserror::Error)]
pub enum FreezeError {
    /// It has what can't be written, or something else was written.
    #[error("a judge's state can't be kept: {0}")]
    Form(#[from] postcard::Error),
    /// There is no memory for it.
    #[error("there is no memory for a judge's state")]
    NoRoom,
}

/// Bytes to which values are appended.
#[derive(Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    /// Appends a value.
    ///
    /// # Errors
    /// If it is of a kind that can't be written; ours all can.
    pub(crate) fn put(&mut self, value: &(impl Serialize + ?Sized)) -> Result<(), FreezeError> {
        self.0 = postcard::to_extend(value, std::mem::take(&mut self.0))?;
        Ok(())
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// The same bytes, read in the same order.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl Reader<'_> {
    /// The next value.
    ///
    /// # Errors
    /// If something else was written there.
    pub(crate) fn get<T: DeserializeOwned>(&mut self) -> Result<T, FreezeError> {
        let (value, rest) = postcard::take_from_bytes(self.0)?;
        self.0 = rest;
        Ok(value)
    }
}

/// A map's entries by key.
pub(crate) fn sorted<K: Ord, V>(map: &FxHashMap<K, V>) -> Vec<(&K, &V)> {
    let mut entries: Vec<_> = map.iter().collect();
    entries.sort_unstable_by_key(|&(key, _)| key);
    entries
}

impl<O: Observer> Engine<O> {
    /// Writes it down; who looks on is not part of it.
    ///
    /// # Errors
    /// Never, for what is in it.
    pub(crate) fn freeze(&self, to: &mut Writer) -> Result<(), FreezeError> {
        // Destructured in full: what is new must not be forgotten here.
        let Self {
            observer: _,
            model,
            store,
            merge,
            // Whoever is taken up again sorts itself.
            ahead: _,
            names,
            history: _,
            counts,
            switched,
            told,
            found,
        } = self;
        let Counts { by_kind, lost_by_cpu, out_of_order, unreadable } = counts;
        to.put(&(model, store.freeze(), merge.freeze(), names.freeze()))?;
        to.put(&(&by_kind[..], lost_by_cpu, out_of_order, unreadable))?;
        to.put(&(switched, told.len(), found))
    }

    /// An engine as it was. `told` has at least the findings that were told by then.
    ///
    /// Before it goes on, the records that waited are [taken again](Self::take_again).
    ///
    /// # Errors
    /// If this is no engine.
    pub(crate) fn thaw(
        from: &mut Reader<'_>,
        observer: O,
        told: &[Arc<Told>],
    ) -> Result<Self, FreezeError> {
        type Parts = (Model, store::Frozen, merge::Frozen, names::Frozen);
        let (model, store, merge, names): Parts = from.get()?;
        let (kinds, lost_by_cpu, out_of_order, unreadable): (Vec<u64>, _, _, _) = from.get()?;
        let (switched, told_then, found): (_, usize, _) = from.get()?;
        let mut by_kind = [0; KINDS];
        for (slot, count) in by_kind.iter_mut().zip(kinds) {
            *slot = count;
        }
        let store = UserStore::thaw(store);
        let cpus = model::Store::cpus(&store);
        Ok(Self {
            observer,
            model,
            store,
            merge: Merge::thaw(merge),
            ahead: None,
            names: Names::thaw(names),
            history: History::new(cpus),
            counts: Counts { by_kind, lost_by_cpu, out_of_order, unreadable },
            switched,
            told: told.get(..told_then).unwrap_or(told).to_vec(),
            found,
        })
    }

    /// Whether a record of this CPU still waits that is of no earlier time, or has no lower number.
    pub(crate) fn waits(&self, cpu: u32, ts: u64, seq: u32) -> bool {
        self.merge.waits(cpu, ts, seq)
    }

    /// Whether it could be taken up again, if all records are read again for which
    /// [`waits`](Self::waits) holds.
    pub(crate) fn can_freeze(&self) -> bool {
        self.merge.is_plain()
    }

    /// A record that came before it was frozen.
    pub(crate) fn take_again(&mut self, cpu: u32, header: Header, record: &[u8]) {
        self.merge.take_again(cpu, header, record);
    }

    /// All records that waited were taken again.
    pub(crate) fn go_on(&mut self) {
        self.merge.go_on();
    }
}
