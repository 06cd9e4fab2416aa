//! Parquet: a directory of three tables.
//!
//! ```text
//! events.parquet      a row an event: time, CPU, kind, fields, and the CPU's mms after it
//! calls.parquet       a row a membarrier call that returned
//! findings.parquet    a row a broken rule
//! ```

mod table;

use std::{fs::File, io::BufWriter, path::Path};

use tracer_common::wire::{membarrier_cmd, told_mm};

use self::table::{Declared, Holds, Table};
use super::{
    Call, Calls, ExportError, Exporter, Field, LeftOut, SCHEMA, Type, Value, fields, kind,
    only::Only,
};
use crate::{
    engine::{Mms, Observer, Seen},
    filter::Filter,
    report::{Finding, Report},
    stream::Facts,
};

/// The files, by name.
pub const FILES: &[&str] = &["events.parquet", "calls.parquet", "findings.parquet"];

type Place = Table<BufWriter<File>>;

/// Writes the tables.
pub struct Parquet {
    events: Place,
    calls: Place,
    findings: Place,
    from: u64,
    only: Only,
    open: Calls,
    failed: Option<ExportError>,
}

const fn column(name: &'static str, holds: Holds, always: bool) -> Declared {
    Declared { name, holds, always }
}

const UINT: Holds = Holds::Plain(Type::Uint);
const INT: Holds = Holds::Plain(Type::Int);
const BOOL: Holds = Holds::Plain(Type::Bool);
const TEXT: Holds = Holds::Plain(Type::Text);

/// The columns of events before the fields.
const FIRST: [Declared; 3] =
    [column("ts_ns", Holds::Time, true), column("cpu", UINT, true), column("kind", TEXT, true)];

/// And after them.
const LAST: [Declared; 4] = [
    column("logical_mm", UINT, false),
    column("active_mm", UINT, false),
    column("real_mm", UINT, false),
    column("lazy", BOOL, false),
];

const CALLS: [Declared; 14] = [
    column("ts_ns", Holds::Time, false),
    column("end_ns", Holds::Time, true),
    column("duration_ns", Holds::Time, false),
    column("cpu", UINT, true),
    column("end_cpu", UINT, true),
    column("tid", UINT, true),
    column("tgid", UINT, true),
    column("comm", TEXT, false),
    column("mm", UINT, false),
    column("cmd", INT, true),
    column("command", TEXT, false),
    column("ret", INT, true),
    column("cpus_targeted", UINT, true),
    column("targets", Holds::Cpus, true),
];

const FINDINGS: [Declared; 12] = [
    column("ts_ns", Holds::Time, true),
    column("rule", TEXT, true),
    column("severity", TEXT, true),
    column("cpu", UINT, true),
    column("tid", UINT, false),
    column("comm", TEXT, false),
    column("mm", UINT, false),
    column("evidence", TEXT, true),
    column("summary", TEXT, true),
    column("chain", TEXT, true),
    column("number", UINT, true),
    column("tgid", UINT, false),
];

/// A time that is too large stays at the most.
fn time(ns: u64) -> Value<'static> {
    Value::Int(i64::try_from(ns).unwrap_or(i64::MAX))
}

impl Parquet {
    /// Writes into `directory` what happened from `from` on, in nanoseconds of the run's clock.
    ///
    /// # Errors
    /// If a file can't be made.
    pub fn new(directory: &Path, facts: &Facts, from: u64) -> Result<Self, ExportError> {
        let about = [
            ("unlazy.schema", SCHEMA.to_owned()),
            ("unlazy.run", facts.run.clone()),
            ("unlazy.clock", facts.clock.clone()),
            ("unlazy.kernel", facts.kernel.release.clone().unwrap_or_default()),
            (
                "unlazy.to_realtime_ns",
                facts.to_realtime_ns.map(|ns| ns.to_string()).unwrap_or_default(),
            ),
        ];
        let table = |file: &str, name: &str, columns| {
            let file = File::create(directory.join(file))?;
            Table::new(BufWriter::new(file), name, columns, &about)
        };
        let [events, calls, findings] = [0, 1, 2].map(|n| FILES[n]);
        let field = |&field: &Field| column(field.name(), Holds::Plain(field.ty()), false);
        let columns = FIRST.into_iter().chain(Field::ALL.iter().map(field)).chain(LAST);
        Ok(Self {
            events: table(events, "events", columns.collect())?,
            calls: table(calls, "calls", CALLS.to_vec())?,
            findings: table(findings, "findings", FINDINGS.to_vec())?,
            from,
            only: Only::default(),
            open: Calls::default(),
            failed: None,
        })
    }

    /// Writes only what passes a query.
    #[must_use]
    pub fn only(self, filter: Filter) -> Self {
        Self { only: Only::new(filter), ..self }
    }

    fn event(&mut self, seen: &Seen<'_>) -> Result<(), ExportError> {
        if !self.only.event(seen) {
            return Ok(());
        }
        let row = &mut self.events;
        row.put(0, time(seen.ts));
        row.put(1, Value::Uint(seen.cpu.into()));
        row.put(2, Value::Text(kind(seen.event)));
        fields(seen, &mut |field, value| row.put(FIRST.len() + field as usize, value));
        let Mms { logical, active, real, lazy } =
            seen.state(seen.cpu).map(Mms::from).unwrap_or_default();
        let last = FIRST.len() + Field::ALL.len();
        for (index, mm) in [logical, active, real].into_iter().enumerate() {
            row.put_some(last + index, mm.map(Value::Uint));
        }
        row.put_some(last + 3, lazy.map(Value::Bool));
        row.end_row()
    }

    fn call(&mut self, call: &Call, comm: Option<&str>) -> Result<(), ExportError> {
        if !self.only.call(call, comm) {
            return Ok(());
        }
        let row = &mut self.calls;
        row.put_some(0, call.begin.map(time));
        row.put(1, time(call.end));
        row.put_some(2, call.begin.map(|begin| time(call.end.saturating_sub(begin))));
        row.put(3, Value::Uint(call.cpu.into()));
        row.put(4, Value::Uint(call.end_cpu.into()));
        row.put(5, Value::Uint(call.tid.into()));
        row.put(6, Value::Uint(call.tgid.into()));
        row.put_some(7, comm.map(Value::Text));
        row.put_some(8, told_mm(call.mm).map(Value::Uint));
        row.put(9, Value::Int(call.cmd.into()));
        row.put_some(10, membarrier_cmd::name(call.cmd).map(Value::Text));
        row.put(11, Value::Int(call.ret));
        row.put(12, Value::Uint(call.targets.len() as u64));
        row.put_cpus(13, &call.targets);
        row.end_row()
    }

    fn finding(&mut self, finding: &Finding) -> Result<(), ExportError> {
        if !self.only.finding(finding) {
            return Ok(());
        }
        let Finding {
            number,
            rule,
            severity,
            cpu,
            tid,
            tgid,
            comm,
            mm,
            ts_ns,
            evidence,
            summary,
            chain,
        } = finding;
        let chain = serde_json::to_string(chain).map_err(std::io::Error::from)?;
        let row = &mut self.findings;
        row.put(0, time(*ts_ns));
        row.put(1, Value::Text(rule));
        row.put(2, Value::Text(severity.name()));
        row.put(3, Value::Uint((*cpu).into()));
        row.put_some(4, tid.map(|tid| Value::Uint(tid.into())));
        row.put_some(5, comm.as_deref().map(Value::Text));
        row.put_some(6, mm.map(Value::Uint));
        row.put(7, Value::Text(evidence.name()));
        row.put(8, Value::Text(summary));
        row.put(9, Value::Text(&chain));
        row.put(10, Value::Uint(*number));
        row.put_some(11, tgid.map(|tgid| Value::Uint(tgid.into())));
        row.end_row()
    }

    /// Writes the ends of the files.
    ///
    /// # Errors
    /// If that fails.
    pub fn close(mut self) -> Result<(), ExportError> {
        if !self.only.filter.is_empty() {
            let LeftOut { events, calls, findings } = self.only.left_out;
            let tables = [
                (&mut self.events, events),
                (&mut self.calls, calls),
                (&mut self.findings, findings),
            ];
            for (table, hidden) in tables {
                table.note("unlazy.filter", self.only.filter.to_string());
                table.note("unlazy.hidden", hidden.to_string());
            }
        }
        self.events.finish()?;
        self.calls.finish()?;
        self.findings.finish()
    }
}

impl Observer for Parquet {
    fn event(&mut self, seen: &Seen<'_>) {
        if self.failed.is_some() {
            return;
        }
        // Also what was before: a call may have begun there.
        let call = self.open.see(seen);
        if seen.ts < self.from {
            return;
        }
        let written = call
            .map_or(Ok(()), |call| self.call(&call, seen.comm(call.tid)))
            .and_then(|()| Self::event(self, seen));
        self.failed = written.err();
    }
}

impl Exporter for Parquet {
    fn finish(&mut self, report: &Report) -> Result<(), ExportError> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        report.findings.iter().try_for_each(|finding| self.finding(finding))
    }

    fn events(&self) -> u64 {
        self.events.rows()
    }

    fn left_out(&self) -> LeftOut {
        self.only.left_out
    }
}
