//! What was seen, into a file for each CPU.

use std::ffi::c_uint;
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Instant;

use unlazy_guest::witness::{Kind, Told, file};

/// More CPUs than any machine of ours has.
const CPUS: u32 = 64;

struct Cpu {
    to: BufWriter<File>,
    /// It has executed what may take it to user mode, and was not seen there since.
    leaves: bool,
}

struct Teller {
    begun: Instant,
    cpus: Vec<Mutex<Cpu>>,
}

static TELLER: OnceLock<Teller> = OnceLock::new();

/// Makes the files.
///
/// # Errors
/// If they can't be made.
pub(crate) fn begin(folder: &Path) -> io::Result<()> {
    let cpus = (0..CPUS).map(|cpu| {
        let to = BufWriter::new(File::create(folder.join(file(cpu)))?);
        Ok(Mutex::new(Cpu { to, leaves: false }))
    });
    let teller = Teller { begun: Instant::now(), cpus: cpus.collect::<io::Result<_>>()? };
    // QEMU loads a plugin once.
    let _ = TELLER.set(teller);
    Ok(())
}

/// Each CPU is a thread of its own, and its lock is always free.
fn with(cpu: c_uint, look: impl FnOnce(&mut Cpu, u64)) {
    let Some(teller) = TELLER.get() else { return };
    if let Some(cpu) = teller.cpus.get(cpu as usize) {
        let now = teller.begun.elapsed().as_nanos() as u64;
        look(&mut cpu.lock().unwrap_or_else(PoisonError::into_inner), now);
    }
}

fn tell(cpu: &mut Cpu, ts: u64, kind: Kind) {
    // Without room the file ends early, and whoever reads it misses the last mark.
    let _ = cpu.to.write_all(&Told { ts, kind }.to_bytes());
}

/// A CPU is about to execute this.
pub(crate) fn executed(cpu: c_uint, kind: Kind) {
    with(cpu, |cpu, ts| {
        cpu.leaves |= matches!(kind, Kind::Iret | Kind::Sysret);
        tell(cpu, ts, kind);
    });
    if kind == Kind::WriteDown {
        flush();
    }
}

/// A CPU is about to execute user code.
pub(crate) fn user_code(cpu: c_uint) {
    with(cpu, |cpu, ts| {
        if std::mem::take(&mut cpu.leaves) {
            tell(cpu, ts, Kind::User);
        }
    });
}

/// Brings what was told so far into the files.
pub(crate) fn flush() {
    let Some(teller) = TELLER.get() else { return };
    for cpu in &teller.cpus {
        let _ = cpu.lock().unwrap_or_else(PoisonError::into_inner).to.flush();
    }
}
