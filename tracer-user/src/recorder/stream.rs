//! All of a run into one file, or into several, one after the other.

use std::{
    collections::{BTreeMap, VecDeque},
    fs, io,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use super::{
    DiskError, Plan, Recorded, Shared, Store,
    disk::{Disk, Staged},
};
use crate::{
    stream::{Facts, TaskName},
    trace::{Batch, Writer},
};

/// When another file is begun.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rotate {
    /// At so many bytes.
    pub size: Option<u64>,
    /// After so long.
    pub time: Option<Duration>,
    /// How many files are kept; the oldest are deleted. `None` keeps all.
    pub keep: Option<usize>,
}

/// The file of this number: `trace.mcap`, or with rotation `trace.0000.mcap`, `trace.0001.mcap`, …
pub(super) fn name(plan: &Plan, number: u32) -> PathBuf {
    if plan.rotate.is_none() && plan.last.is_none() {
        return plan.path.clone();
    }
    let stem = plan.path.file_stem().unwrap_or_default().to_string_lossy();
    let extension = plan.path.extension().map_or("mcap".into(), |text| text.to_string_lossy());
    plan.path.with_file_name(format!("{stem}.{number:04}.{extension}"))
}

/// Names that a later file must tell again.
pub(super) struct Known {
    facts: Facts,
    tasks: BTreeMap<u32, (u32, String)>,
}

impl Known {
    pub(super) fn new(facts: Facts) -> Self {
        let tasks = facts.tasks.iter();
        let tasks = tasks.map(|task| (task.tid, (task.tgid, task.comm.clone()))).collect();
        Self { facts, tasks }
    }

    pub(super) fn see(&mut self, batch: &Batch) {
        self.facts.functions.extend(batch.functions.iter().cloned());
        for (tid, tgid, comm) in &batch.tasks {
            self.tasks.insert(*tid, (*tgid, comm.clone()));
        }
        // Thread numbers come again; the kernel has no more than this many at a time.
        while self.tasks.len() > 1 << 22 {
            self.tasks.pop_first();
        }
    }

    /// For a file that begins in the middle of the run.
    pub(super) fn joined(&mut self) -> &Facts {
        self.facts.joined = true;
        self.facts(0)
    }

    pub(super) fn facts(&mut self, part: u32) -> &Facts {
        self.facts.part = part;
        self.facts.tasks = self
            .tasks
            .iter()
            .map(|(&tid, (tgid, comm))| TaskName { tid, tgid: *tgid, comm: comm.clone() })
            .collect();
        &self.facts
    }
}

pub(super) struct Stream {
    plan: Plan,
    known: Known,
    shared: Arc<Shared>,
    disk: Disk,
    staged: Staged,
    writer: Option<Writer<Staged>>,
    part: u32,
    /// When the present file's first message was read.
    since: Option<u64>,
    until: u64,
    files: VecDeque<PathBuf>,
    bytes: u64,
}

fn never(error: io::Error) -> DiskError {
    // Staged takes everything, so this is no disk's error but the library's.
    DiskError::Write { path: "the recording".to_owned(), source: error }
}

impl Stream {
    pub(super) fn new(
        plan: Plan,
        facts: Facts,
        disk: Disk,
        shared: &Arc<Shared>,
    ) -> Result<Self, DiskError> {
        let staged = Staged::default();
        let writer = Writer::new(staged.clone(), &facts, 0).map_err(never)?;
        let files = VecDeque::from([disk.path().to_owned()]);
        Ok(Self {
            plan,
            known: Known::new(facts),
            shared: Arc::clone(shared),
            disk,
            staged,
            writer: Some(writer),
            part: 0,
            since: None,
            until: 0,
            files,
            bytes: 0,
        })
    }

    fn due(&self) -> bool {
        let Some(Rotate { size, time, .. }) = self.plan.rotate else { return false };
        let age = self.until.saturating_sub(self.since.unwrap_or(self.until));
        size.is_some_and(|size| self.disk.written() >= size)
            || time.is_some_and(|time| u128::from(age) >= time.as_nanos())
    }

    fn end_file(&mut self) -> Result<(), DiskError> {
        if let Some(writer) = self.writer.take() {
            writer.finish().map_err(never)?;
        }
        self.disk.finish(&self.staged)?;
        self.bytes += self.disk.written();
        Ok(())
    }
}

impl Store for Stream {
    fn take(&mut self, batch: Batch) -> Result<(), DiskError> {
        self.known.see(&batch);
        self.until = batch.until();
        self.since.get_or_insert(self.until);
        if let Some(writer) = &mut self.writer {
            writer.write(&batch).map_err(never)?;
        }
        // What does not go through now is tried again.
        let _ = self.disk.drain(&self.staged);
        if self.due() { self.cut() } else { Ok(()) }
    }

    fn ready(&mut self) -> bool {
        self.disk.ready(&self.staged)
    }

    fn flush(&mut self) -> Result<(), DiskError> {
        if let Some(writer) = &mut self.writer {
            writer.flush().map_err(never)?;
        }
        let _ = self.disk.drain(&self.staged);
        Ok(())
    }

    fn cut(&mut self) -> Result<(), DiskError> {
        let Some(rotate) = self.plan.rotate else { return Ok(()) };
        self.end_file()?;
        self.part += 1;
        while self.files.len() >= rotate.keep.unwrap_or(usize::MAX).max(1) {
            // Whoever took it away already did what was wanted.
            let _ = self.files.pop_front().map(fs::remove_file);
        }
        self.disk = Disk::create(&name(&self.plan, self.part), &self.shared)?;
        self.files.push_back(self.disk.path().to_owned());
        let facts = self.known.facts(self.part);
        let writer = Writer::new(self.staged.clone(), facts, self.until).map_err(never)?;
        self.writer = Some(writer);
        self.since = None;
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Recorded, DiskError> {
        self.end_file()?;
        Ok(Recorded { files: self.files.into(), bytes: self.bytes })
    }
}
