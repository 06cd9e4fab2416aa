//! A piece of the guest's memory that the host reads: the channel.
//!
//! The kernel is told to leave that piece alone (`memmap=SIZE$ADDRESS`), the guest maps it through
//! `/dev/mem`, and on the host it is a part of the file that QEMU uses as the guest's memory. So
//! no kernel needs a driver or a module for it, the console cannot disturb it, and it costs the
//! guest neither an interrupt nor a device access: an interrupt ends in an IRET, which serializes
//! the very CPU that is being watched.
//!
//! It holds a page of single words, and a ring of bytes (a stream of [`crate::frame`]s). A word is
//! stored twice, as it is and inverted: the host's `pread` may see a word half written, and then
//! the two do not fit.

/// Where the mailbox lies in the guest's memory, in bytes: above every kernel image that was not
/// moved, below every initramfs.
pub const ADDRESS: u64 = 176 << 20;
/// The mailbox's size in bytes: the page of words and the ring.
pub const SIZE: u64 = WORDS + RING;
/// The ring's size in bytes.
pub const RING: u64 = 16 << 20;
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
