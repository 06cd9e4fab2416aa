//! One buffer for each CPU, and how large it may be.

use aya::{
    Ebpf,
    maps::{ArrayOfMaps, Map, MapData, MapError, RingBuf},
    util::{nr_cpus, online_cpus},
};
use aya_obj::generated::bpf_map_type::BPF_MAP_TYPE_RINGBUF;

/// What a CPU gets unless asked otherwise, in bytes.
pub const DEFAULT: u32 = 16 << 20;
/// What all CPUs together get at most unless asked otherwise.
pub const DEFAULT_TOTAL: u64 = 512 << 20;
/// What a CPU gets at least; also what one that isn't online gets, in case it comes.
pub const MIN: u32 = 256 << 10;
/// The most that one buffer may have: half of what 32 bits can count
/// (`kernel/bpf/ringbuf.c:ringbuf_map_alloc`).
pub const MAX: u32 = 1 << 30;
/// How many CPUs the programs have room for; tracer-ebpf's `emit.rs` has the same number.
pub const MAX_CPUS: usize = 1024;

/// A CPU's buffer, as its reader has it.
pub struct Ring {
    /// The CPU that writes into it.
    pub cpu: u32,
    /// Its size in bytes.
    pub size: u32,
    pub(crate) records: RingBuf<MapData>,
}

/// Why the buffers could not be had.
#[derive(Debug, thiserror::Error)]
pub enum RingError {
    /// The machine has more CPUs than the programs have room for.
    #[error("this machine may have {0} CPUs; unlazy has room for {MAX_CPUS}")]
    TooManyCpus(usize),
    /// The list of CPUs can't be read.
    #[error("can't tell which CPUs there are: {0}")]
    Cpus(String),
    /// The kernel has no memory for it, or refuses.
    #[error(
        "can't create a buffer of {size} bytes for CPU {cpu}: {source}; try a smaller --buffer"
    )]
    Create {
        /// The CPU.
        cpu: u32,
        /// The size asked for.
        size: u32,
        /// What the kernel said.
        source: MapError,
    },
    /// The object isn't what this loader expects.
    #[error("the eBPF object has no usable map RINGS: {0}")]
    Object(String),
}

/// How large the buffers are to be, in bytes for each CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// So much, however many CPUs there are: somebody asked for it.
    Exactly(u64),
    /// So much, but no more than [`DEFAULT_TOTAL`] for all of them.
    AtMost(u64),
}

impl Default for Wish {
    fn default() -> Self {
        Self::AtMost(DEFAULT.into())
    }
}

/// The size for each online CPU, in bytes: a power of two, as the kernel wants it.
#[must_use]
pub fn size_for(online: usize, wish: Wish) -> u32 {
    let wanted = match wish {
        Wish::Exactly(wanted) => wanted,
        Wish::AtMost(wanted) => wanted.min(DEFAULT_TOTAL / online.max(1) as u64),
    };
    let wanted = u32::try_from(wanted).unwrap_or(MAX).clamp(MIN, MAX);
    // Rounded down: the largest power of two that is no more than what was asked for.
    1 << wanted.ilog2()
}

/// Creates the buffers and hands them to the programs.
pub(super) fn create(ebpf: &mut Ebpf, wish: Wish) -> Result<Vec<Ring>, RingError> {
    let possible =
        nr_cpus().map_err(|(what, error)| RingError::Cpus(format!("{what}: {error}")))?;
    let online =
        online_cpus().map_err(|(what, error)| RingError::Cpus(format!("{what}: {error}")))?;
    if possible > MAX_CPUS {
        return Err(RingError::TooManyCpus(possible));
    }
    let object = |error: &dyn ToString| RingError::Object(error.to_string());
    let map = ebpf.map_mut("RINGS").ok_or_else(|| object(&"it isn't there"))?;
    let mut rings = ArrayOfMaps::<_, MapData>::try_from(map).map_err(|error| object(&error))?;
    let full = size_for(online.len(), wish);
    (0..possible as u32)
        .map(|cpu| {
            let size = if online.contains(&cpu) { full } else { MIN };
            let failed = |source| RingError::Create { cpu, size, source };
            let template =
                aya_obj::Map::new_from_params(BPF_MAP_TYPE_RINGBUF as u32, 0, 0, size, 0);
            let data = MapData::create(template, "unlazy_ring", None).map_err(failed)?;
            rings.set(cpu, &data, 0).map_err(failed)?;
            Ok(Ring { cpu, size, records: RingBuf::try_from(Map::RingBuf(data)).map_err(failed)? })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_two_within_the_budget() {
        let usual = |online| size_for(online, Wish::default());
        assert_eq!(usual(2), 16 << 20);
        assert_eq!(usual(32), 16 << 20);
        assert_eq!(usual(33), 8 << 20);
        assert_eq!(usual(256), 2 << 20);
        assert_eq!(usual(1024), 512 << 10);
        assert_eq!(usual(0), 16 << 20);
        assert_eq!(size_for(2, Wish::AtMost(4 << 20)), 4 << 20);
        assert_eq!(size_for(128, Wish::AtMost(4 << 20)), 4 << 20);
        assert_eq!(size_for(256, Wish::AtMost(4 << 20)), 2 << 20);
    }

    #[test]
    fn what_was_asked_for_is_rounded_down_and_kept_in_bounds() {
        let asked = |wanted| size_for(2, Wish::Exactly(wanted));
        assert_eq!(asked(3 << 20), 2 << 20);
        assert_eq!(asked(1), MIN);
        assert_eq!(asked(u64::MAX), MAX);
        assert_eq!(asked(64 << 20), 64 << 20);
        assert_eq!(size_for(256, Wish::Exactly(16 << 20)), 16 << 20);
    }
}
