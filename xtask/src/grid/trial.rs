//! One run in one machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::observed::{Observed, plain};
use super::plan::{Row, Which};
use crate::kernel;
use crate::module;
use crate::shell::{self, say};
use crate::vm::image::{self, Image};
use crate::vm::{self, Request};
use crate::workspace::Workspace;

/// Memory of every machine.
const MEMORY_MIB: u32 = 2048;
/// What booting, attaching, the last judgements and the end may take, on a busy host.
const OVERHEAD: Duration = Duration::from_secs(240);
/// The trace of a run that is recorded.
pub(super) const TRACE: &str = "trace.mcap";
/// Console lines that are kept of a machine that did not end well.
const CONSOLE_LINES: usize = 30;

/// A kernel that was found or built, and what `unlazy doctor` says in it.
pub(super) struct Kernel {
    pub(super) image: Image,
    /// Its module, if any row loads it.
    pub(super) module: Option<PathBuf>,
    /// `unlazy doctor --json`.
    pub(super) doctor: Value,
}

impl Kernel {
    /// Finds or builds a kernel, builds the module for it if it is needed, and examines it. Files
    /// go into `dir`.
    ///
    /// # Errors
    /// When the kernel or the module cannot be had, or the kernel does not run.
    pub(super) fn ready(
        workspace: &Workspace,
        which: Which,
        with_module: bool,
        dir: &Path,
    ) -> Result<Self> {
        let image = match which {
            Which::Debian(version) => image::resolve(workspace, version)?,
            Which::Planted(variant) => {
                let bzimage = kernel::ensure(workspace, variant)?;
                image::resolve(workspace, &bzimage.to_string_lossy())?
            }
        };
        let module = with_module.then(|| module::for_image(workspace, &image)).transpose()?;
        let words = ["guest", "to", "/out/doctor.json", "unlazy", "doctor", "--json"];
        let doctor = || {
            let command = words.map(str::to_owned).into();
            vm::run(workspace, &Request { command, ..request(image.clone(), 2, OVERHEAD, dir)? })
        };
        let mut outcome = doctor()?;
        if !outcome.end.is_regular() {
            say(format_args!(
                "{}: {}; once more\n{}",
                image.release, outcome.end, outcome.console_tail
            ));
            outcome = doctor()?;
        }
        let path = dir.join("doctor.json");
        let doctor = fs::read_to_string(&path)
            .with_context(|| {
                let stderr = String::from_utf8_lossy(&outcome.stderr);
                format!("`unlazy doctor` in {}: {}: {stderr}", image.release, outcome.end)
            })
            .and_then(|json| {
                serde_json::from_str(&json).with_context(|| format!("reading {}", path.display()))
            })?;
        Ok(Self { image, module, doctor })
    }

    /// What the text audit says of the order of the two accesses in `switch_mm_irqs_off`.
    pub(super) fn order(&self) -> Option<&str> {
        self.doctor.pointer("/text_audit/loaded_mm_switching/order")?.as_str()
    }
}

/// Runs a row once; files go into `dir`.
///
/// # Errors
/// When no machine could be started, or what it brought back cannot be read.
pub(super) fn run(
    workspace: &Workspace,
    row: &Row,
    kernel: &Kernel,
    dir: &Path,
) -> Result<Observed> {
    let limit = row.time + row.time / 2 + OVERHEAD;
    let mut append = row.append.clone();
    append.extend(row.bug.map(|bug| format!("unlazy_bug={bug}")));
    let modules = if row.load.module { kernel.module.iter().cloned().collect() } else { vec![] };
    let outcome = vm::run(
        workspace,
        &Request {
            append,
            modules,
            command: command(row),
            ..request(kernel.image.clone(), row.smp, limit, dir)?
        },
    )?;
    let stderr = String::from_utf8_lossy(&outcome.stderr);
    let console = if outcome.end.is_regular() {
        String::new()
    } else {
        shell::tail(&plain(&outcome.console_tail), CONSOLE_LINES)
    };
    let mut observed = Observed {
        end: plain(&outcome.end.to_string()),
        regular: outcome.end.is_regular(),
        seconds: outcome.time.as_secs_f64(),
        console,
        ..Observed::default()
    };
    for (name, text) in [("stderr.txt", &*stderr), ("console.txt", &*outcome.console_tail)] {
        let path = dir.join(name);
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    let report = fs::read_to_string(dir.join("report.json")).ok();
    observed
        .read(report.as_deref(), &stderr)
        .with_context(|| format!("reading {}/report.json", dir.display()))?;
    if let (Some(bug), Ok(text)) = (row.bug, fs::read_to_string(dir.join("unlazy_bug.txt"))) {
        observed.read_taken(&text, bug);
    }
    if report.is_none() && outcome.end.is_regular() && !stderr.is_empty() {
        // Nothing was judged; the reason stands there.
        observed.end = format!("{}: {}", observed.end, shell::tail(&plain(&stderr), 3));
    }
    Ok(observed)
}

/// `unlazy check` around the workload, and the kernel's own count after it.
fn command(row: &Row) -> Vec<String> {
    let split = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let mut words = split("unlazy check --buffer 64MiB --json /out/report.json");
    if row.record {
        words.extend(["--record".to_owned(), format!("/out/{TRACE}")]);
    }
    if !row.expected.all.is_empty() {
        let rules: Vec<_> = row.expected.all.iter().map(String::as_str).collect();
        words.extend(["--until-found".to_owned(), rules.join(",")]);
    }
    words.push("--".to_owned());
    words.extend(row.load.command(row.time));
    if row.bug.is_some() {
        words.splice(0..0, split("guest all"));
        words.extend(split(", guest to /out/unlazy_bug.txt guest cat /proc/unlazy_bug"));
    }
    words
}

/// A machine with nothing in it yet.
fn request(kernel: Image, smp: u32, limit: Duration, dir: &Path) -> Result<Request> {
    // What an earlier grid left there must not be taken for this one's.
    if dir.exists() {
        fs::remove_dir_all(dir).with_context(|| format!("emptying {}", dir.display()))?;
    }
    fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
    Ok(Request {
        kernel,
        smp,
        cpu: "max".to_owned(),
        memory_mib: MEMORY_MIB,
        append: Vec::new(),
        files: Vec::new(),
        modules: Vec::new(),
        command: Vec::new(),
        out: dir.to_path_buf(),
        limit,
        keep: false,
        echo: false,
        witness: None,
    })
}
