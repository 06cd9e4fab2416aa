//! The last of a run, kept in memory until somebody wants it.

use std::{collections::VecDeque, path::PathBuf, sync::Arc};

use super::{
    DiskError, Last, Plan, Recorded, Shared, Store,
    disk::{Disk, Staged},
    stream::{Known, name},
};
use crate::{
    stream::Facts,
    trace::{Batch, Packed, Press, Writer},
};

/// Batches, packed, the oldest first.
pub(super) struct Ring {
    plan: Plan,
    last: Last,
    known: Known,
    shared: Arc<Shared>,
    press: Press,
    kept: VecDeque<Kept>,
    bytes: u64,
    dumps: u32,
    files: Vec<PathBuf>,
    written: u64,
    /// Something came since the last dump.
    fresh: bool,
}

struct Kept {
    until: u64,
    batch: Packed,
}

impl Ring {
    pub(super) fn new(plan: Plan, last: Last, facts: Facts, shared: &Arc<Shared>) -> Self {
        Self {
            plan,
            last,
            known: Known::new(facts),
            shared: Arc::clone(shared),
            press: Press::default(),
            kept: VecDeque::new(),
            bytes: 0,
            dumps: 0,
            files: Vec::new(),
            written: 0,
            fresh: false,
        }
    }

    fn forget(&mut self) {
        let now = self.kept.back().map_or(0, |kept| kept.until);
        let span = u64::try_from(self.last.span.as_nanos()).unwrap_or(u64::MAX);
        while let Some(first) = self.kept.front()
            && (self.bytes > self.last.memory || now.saturating_sub(first.until) > span)
        {
            self.bytes -= first.batch.len() as u64;
            self.kept.pop_front();
        }
    }
}

impl Store for Ring {
    fn take(&mut self, batch: Batch) -> Result<(), DiskError> {
        self.known.see(&batch);
        let until = batch.until();
        let batch = self.press.pack(batch).map_err(DiskError::Memory)?;
        self.bytes += batch.len() as u64;
        self.kept.push_back(Kept { until, batch });
        self.fresh = true;
        self.forget();
        Ok(())
    }

    fn ready(&mut self) -> bool {
        true
    }

    fn flush(&mut self) -> Result<(), DiskError> {
        Ok(())
    }

    fn cut(&mut self) -> Result<(), DiskError> {
        if !std::mem::take(&mut self.fresh) {
            return Ok(());
        }
        let mut disk = Disk::create(&name(&self.plan, self.dumps), &self.shared)?;
        self.dumps += 1;
        let path = disk.path().display().to_string();
        let failed = |source| DiskError::Write { path: path.clone(), source };
        let staged = Staged::default();
        let since = self.kept.front().map_or(0, |kept| kept.until);
        let mut writer = Writer::new(staged.clone(), self.known.joined(), since).map_err(failed)?;
        for kept in &self.kept {
            let batch = kept.batch.unpack().map_err(failed)?;
            writer.write(&batch).map_err(failed)?;
        }
        writer.finish().map_err(failed)?;
        disk.finish(&staged)?;
        self.written += disk.written();
        self.files.push(disk.path().to_owned());
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Recorded, DiskError> {
        self.cut()?;
        Ok(Recorded { files: self.files, bytes: self.written })
    }
}
