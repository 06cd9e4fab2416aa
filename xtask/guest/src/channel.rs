//! The guest's end of the mailbox.

use std::arch::x86_64::_mm_sfence;
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::mm::{MapFlags, ProtFlags, mmap};
use serde::Serialize;
use unlazy_guest::frame::{Encoder, Kind, MAX_PAYLOAD};
use unlazy_guest::mailbox::{BEAT_MS, MARK, PCI_ID, PCI_REGION, RING, SIZE, WORDS, Word};

/// The channel to the host: frames go out whole, whoever sends them.
pub(crate) struct Channel {
    mailbox: &'static Mailbox,
    out: Mutex<Out>,
}

struct Out {
    encoder: Encoder,
    written: u64,
}

impl Channel {
    /// Finds and maps the mailbox.
    ///
    /// # Errors
    /// When there is none, the kernel gives no access to it, or no host has prepared it.
    pub(crate) fn open() -> Result<Self> {
        let mailbox: &'static Mailbox = Box::leak(Box::new(Mailbox::map(&device()?)?));
        if mailbox.load(Word::Mark) != Some(MARK) {
            bail!("the host has not prepared the mailbox, or is of another version");
        }
        Ok(Self { mailbox, out: Mutex::new(Out { encoder: Encoder::default(), written: 0 }) })
    }

    /// Sends a frame; waits while the ring is full.
    pub(crate) fn send(&self, kind: Kind, payload: &[u8]) {
        // A payload that is too long is a stream's, which may be cut anywhere, or a note.
        let mut rest = payload;
        loop {
            let (part, more) = rest.split_at(rest.len().min(MAX_PAYLOAD));
            self.send_part(kind, part);
            if more.is_empty() {
                return;
            }
            rest = more;
        }
    }

    /// Sends something small as JSON.
    ///
    /// # Errors
    /// When it has no JSON form.
    pub(crate) fn send_json(&self, kind: Kind, value: &impl Serialize) -> Result<()> {
        let text = serde_json::to_vec(value).context("writing JSON")?;
        self.send(kind, &text);
        Ok(())
    }

    /// Whether the host wants the command ended.
    pub(crate) fn stop_asked(&self) -> bool {
        self.mailbox.load(Word::Stop) == Some(1)
    }

    /// Shows the host from now on that this machine lives.
    pub(crate) fn start_beat(&self) {
        let mailbox = self.mailbox;
        thread::spawn(move || {
            for beat in 1.. {
                mailbox.store(Word::Beat, beat);
                thread::sleep(Duration::from_millis(BEAT_MS));
            }
        });
    }

    fn send_part(&self, kind: Kind, payload: &[u8]) {
        let mut out = self.out();
        let header = out.encoder.header(kind, payload);
        out.put(self.mailbox, &header);
        out.put(self.mailbox, payload);
    }

    fn out(&self) -> MutexGuard<'_, Out> {
        // A sender that panicked within a frame leaves a torn stream, which the host will see.
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Out {
    fn put(&mut self, mailbox: &Mailbox, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let read = mailbox.load(Word::Read).unwrap_or(0);
            let free = RING.saturating_sub(self.written.saturating_sub(read));
            let at = self.written % RING;
            let length = free.min(RING - at).min(bytes.len() as u64);
            if length == 0 {
                thread::sleep(Duration::from_millis(1));
                continue;
            }
            let (part, rest) = bytes.split_at(length as usize);
            mailbox.copy_in(at, part);
            self.written += length;
            mailbox.store(Word::Written, self.written);
            bytes = rest;
        }
    }
}

/// The mailbox's PCI device, as a folder of sysfs.
fn device() -> Result<PathBuf> {
    let devices = fs::read_dir("/sys/bus/pci/devices")
        .context("looking for the mailbox, a PCI device (the kernel needs CONFIG_PCI)")?;
    let (vendor, device) = PCI_ID;
    let is = |path: &Path, file: &str, number: u16| {
        fs::read_to_string(path.join(file))
            .is_ok_and(|text| text.trim() == format!("{number:#06x}"))
    };
    devices
        .flatten()
        .map(|entry| entry.path())
        .find(|path| is(path, "vendor", vendor) && is(path, "device", device))
        .with_context(|| format!("there is no PCI device {vendor:04x}:{device:04x}, the mailbox"))
}

/// The mapped mailbox.
struct Mailbox {
    base: NonNull<u8>,
}

// SAFETY: the mapping is never undone; words are atomics, and the ring's bytes are written under
// the lock of `Channel::out` alone.
unsafe impl Sync for Mailbox {}
// SAFETY: as above; nothing in it belongs to a thread.
unsafe impl Send for Mailbox {}

impl Mailbox {
    fn map(device: &Path) -> Result<Self> {
        // Switched on by the firmware already, and again for one that doesn't.
        let enable = device.join("enable");
        fs::write(&enable, "1").with_context(|| format!("writing {}", enable.display()))?;
        // Write-combining, where the kernel offers it: under KVM the other may be uncached.
        let region = |suffix: &str| device.join(format!("resource{PCI_REGION}{suffix}"));
        let path = [region("_wc"), region("")].into_iter().find(|path| path.exists());
        let path = path.unwrap_or_else(|| region(""));
        let mapping = || format!("mapping the mailbox, {}", path.display());
        let memory = OpenOptions::new().read(true).write(true).open(&path).with_context(mapping)?;
        // SAFETY: a new mapping, at an address of the kernel's choice, of a device's memory that
        // nothing else in this guest uses.
        let base = unsafe {
            mmap(
                ptr::null_mut(),
                SIZE as usize,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                &memory,
                0,
            )
        }
        .with_context(mapping)?;
        let base = NonNull::new(base.cast()).context("mapping the mailbox gave no address")?;
        Ok(Self { base })
    }

    fn word(&self, offset: u64) -> &AtomicU64 {
        debug_assert!(offset + 8 <= WORDS, "within the page of words");
        // SAFETY: page-aligned base, offset a multiple of 8 within the mapping, which lives for
        // ever; both sides access these 8 bytes as a whole.
        unsafe { AtomicU64::from_ptr(self.base.as_ptr().add(offset as usize).cast()) }
    }

    fn load(&self, word: Word) -> Option<u64> {
        // The host may be in the middle of a write, which takes no time.
        (0..1000).find_map(|_| {
            let value = self.word(word.offset()).load(Ordering::Acquire);
            let inverse = self.word(word.offset() + 8).load(Ordering::Acquire);
            (value == !inverse).then_some(value)
        })
    }

    fn store(&self, word: Word, value: u64) {
        // The ring's bytes are there before the word that counts them; write-combining memory
        // takes no notice of the order of stores alone.
        store_fence();
        self.word(word.offset()).store(value, Ordering::Release);
        self.word(word.offset() + 8).store(!value, Ordering::Release);
        store_fence();
    }

    fn copy_in(&self, at: u64, bytes: &[u8]) {
        assert!(at + bytes.len() as u64 <= RING, "within the ring");
        // SAFETY: within the mapping, as just checked; the host does not look at these bytes
        // before `Written` covers them, nor does another thread of ours.
        unsafe {
            let to = self.base.as_ptr().add((WORDS + at) as usize);
            ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len());
        }
    }
}

fn store_fence() {
    // SAFETY: every x86-64 CPU has SSE.
    unsafe { _mm_sfence() }
}
