//! The eBPF object that is part of this binary.

/// The object's bytes; `None` if this build has none.
#[must_use]
pub fn embedded() -> Option<&'static [u8]> {
    static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/unlazy.bpf.o"));
    (!OBJECT.is_empty()).then_some(OBJECT)
}
