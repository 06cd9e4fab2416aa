//! Names in `/proc/kallsyms` that tell what this kernel was built with. Only names are used, so it
//! does not matter that addresses are hidden.

use std::{
    fs::File,
    io::{BufRead, BufReader},
};

/// What the symbol table shows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Symbols {
    /// Implementations of `pv_ops.mmu.flush_tlb_multi`, by their prefix (`native`, `kvm`, …).
    pub(super) flush_tlb_multi: Vec<String>,
    /// Global ASIDs exist, and with them broadcast flushes (from 6.15).
    pub(super) global_asids: bool,
}

/// Reads them; `None` if there is no table.
pub(super) fn read() -> Option<Symbols> {
    let symbols = parse(BufReader::new(File::open("/proc/kallsyms").ok()?));
    // A table without the native implementation is no table of this kernel.
    symbols.flush_tlb_multi.iter().any(|name| name == "native").then_some(symbols)
}

fn parse(mut table: impl BufRead) -> Symbols {
    let mut symbols = Symbols::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        match table.read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
        let Ok(text) = std::str::from_utf8(&line) else { continue };
        // `address type name`; a module's name may follow.
        let Some(name) = text.split_ascii_whitespace().nth(2) else { continue };
        if name == "mm_free_global_asid" {
            symbols.global_asids = true;
        } else if let Some(prefix) = name.strip_suffix("_flush_tlb_multi")
            && !prefix.starts_with("__")
        {
            symbols.flush_tlb_multi.push(prefix.to_owned());
        }
    }
    symbols
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_nothing_else() {
        let table = b"0000000000000000 t __pfx_kvm_flush_tlb_multi\n\
            0000000000000000 t kvm_flush_tlb_multi\n\
            ffffffff81000000 T native_flush_tlb_multi\n\
            ffffffff81000010 T flush_tlb_multi\n\
            ffffffff81000020 T mm_free_global_asid\t[mod]\n\
            broken\n\xff\xfe x y\n";
        let symbols = parse(&table[..]);
        assert_eq!(symbols.flush_tlb_multi, ["kvm", "native"]);
        assert!(symbols.global_asids);
        assert_eq!(parse(&b""[..]), Symbols::default());
    }
}
