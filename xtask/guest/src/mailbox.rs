//! A piece of memory that the guest and the host share: the channel.
//!
//! In the guest it is the memory of a PCI device (QEMU's `ivshmem-plain`), which any program may
//! map through sysfs; on the host it is a file. So no kernel needs a driver, a module or an
//! argument for it, the console cannot disturb it, and it costs the guest neither an interrupt nor
//! a device access: an interrupt ends in an IRET, which serializes the very CPU that is watched.
//!
//! It holds a page of single words, and a ring of bytes (a stream of [`crate::frame`]s). A word is
//! stored twice, as it is and inverted: the host's `pread` may see a word half written, and then
//! the two do not fit.

/// The PCI device's vendor and device numbers (QEMU's docs/specs/ivshmem-spec).
pub const PCI_ID: (u16, u16) = (0x1af4, 0x1110);
/// The PCI device's region that is the mailbox.
pub const PCI_REGION: u32 = 2;
/// The mailbox's size in bytes: a power of two, as PCI has it.
pub const SIZE: u64 = 16 << 20;
/// The ring's size in bytes.
pub const RING: u64 = SIZE - WORDS;
/// Where the ring begins.
pub const WORDS: u64 = 4096;
/// The version and the mark that the host leaves before the guest starts.
pub const MARK: u64 = u64::from_le_bytes(*b"UNLAZYM\x01");

/// A word of the first page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Word {
    /// [`MARK`]. Written by the host.
    Mark = 0,
    /// How many bytes have been put into the ring since boot. Written by the guest.
    Written = 1,
    /// How many of them have been taken out. Written by the host.
    Read = 2,
    /// Counts up while the guest lives. Written by the guest.
    Beat = 3,
    /// 1 once the command is to be ended. Written by the host.
    Stop = 4,
}

impl Word {
    /// Where it stands, in bytes from the mailbox's start; the inverted one is 8 bytes further on.
    pub const fn offset(self) -> u64 {
        // Each on a cache line of its own.
        self as u64 * 64
    }
}

/// How often the guest beats, in milliseconds.
pub const BEAT_MS: u64 = 500;

/// A word and its inverse as bytes.
pub fn store(value: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&value.to_le_bytes());
    bytes[8..].copy_from_slice(&(!value).to_le_bytes());
    bytes
}

/// The word, unless the two don't fit: half written, or never.
pub fn load(bytes: [u8; 16]) -> Option<u64> {
    let (value, inverse) = bytes.split_at(8);
    let word = |half: &[u8]| half.try_into().ok().map(u64::from_le_bytes);
    let (value, inverse) = (word(value)?, word(inverse)?);
    (value == !inverse).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_half_written_is_not_believed() {
        assert_eq!(load(store(0x0123_4567_89ab_cdef)), Some(0x0123_4567_89ab_cdef));
        assert_eq!(load([0; 16]), None);
        let (old, new) = (store(0xffff), store(0x1_0000));
        for cut in 1..16 {
            let mut torn = new;
            torn[cut..].copy_from_slice(&old[cut..]);
            // All that differs may lie on one side of the cut: then it is one of the two.
            assert!(matches!(load(torn), None | Some(0xffff | 0x1_0000)), "cut at {cut}");
        }
        let mut torn = new;
        torn[8..].copy_from_slice(&old[8..]);
        assert_eq!(load(torn), None);
    }
}
