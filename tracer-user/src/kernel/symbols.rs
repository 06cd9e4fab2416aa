//! `/proc/kallsyms`: names that tell what this kernel was built with, for which it does not matter
//! that addresses are hidden; and where its functions are, for which it does.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader},
    ops::Range,
};

/// Where the kernel lists its symbols.
const KALLSYMS: &str = "/proc/kallsyms";

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
    let symbols = parse(BufReader::new(File::open(KALLSYMS).ok()?));
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

/// Why there are no addresses.
#[derive(Debug, thiserror::Error)]
pub enum SymbolError {
    /// The list can't be read, or breaks off.
    #[error("can't read {KALLSYMS}: {0}")]
    Read(#[from] io::Error),
    /// Every address reads as zero (`kernel/kallsyms.c:s_show`).
    #[error(
        "{KALLSYMS} hides addresses{0}: run as root, with CAP_SYSLOG, and \
         kernel.kptr_restrict at 0 or 1"
    )]
    Hidden(String),
    /// It lists no function.
    #[error("{KALLSYMS} lists no functions: this kernel was built without CONFIG_KALLSYMS")]
    Empty,
}

/// The kernel's own symbols (no module's), by address.
///
/// Data symbols are there only with `CONFIG_KALLSYMS_ALL`.
#[derive(Debug, Default)]
pub struct SymbolTable {
    /// All names, one after the other.
    names: String,
    /// Functions, sorted by address.
    text: Vec<Symbol>,
    /// Everything else, in the list's order.
    data: Vec<Symbol>,
}

#[derive(Debug, Clone)]
struct Symbol {
    address: u64,
    name: Range<u32>,
}

/// A function as the symbols have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextSymbol<'a> {
    /// Its name, with the compiler's suffixes.
    pub name: &'a str,
    /// Where it begins.
    pub address: u64,
    /// Bytes up to the next symbol at another address, padding included.
    pub size: u64,
}

impl TextSymbol<'_> {
    /// Whether the address lies inside.
    pub fn contains(&self, address: u64) -> bool {
        address.checked_sub(self.address).is_some_and(|offset| offset < self.size)
    }
}

impl SymbolTable {
    /// The running kernel's.
    ///
    /// # Errors
    /// If they can't be read, or their addresses are hidden.
    pub fn live() -> Result<Self, SymbolError> {
        Self::parse(BufReader::new(File::open(KALLSYMS)?)).map_err(|error| match error {
            SymbolError::Hidden(_) => {
                let restrict = fs::read_to_string("/proc/sys/kernel/kptr_restrict");
                let restrict =
                    restrict.map(|value| format!(" (kptr_restrict is {})", value.trim()));
                SymbolError::Hidden(restrict.unwrap_or_default())
            }
            other => other,
        })
    }

    /// Reads a list in the form of `/proc/kallsyms`. Lines that are none are passed over.
    ///
    /// # Errors
    /// If reading fails, no function is listed, or every address is zero.
    pub fn parse(mut list: impl BufRead) -> Result<Self, SymbolError> {
        let mut table = Self::default();
        let mut line = Vec::new();
        while list.read_until(b'\n', &mut line)? != 0 {
            if let Some((address, kind, name)) = symbol(&line) {
                // A kernel's names take a few megabytes; what doesn't fit is no kernel's.
                let start = table.names.len() as u32;
                table.names.push_str(name);
                let symbol = Symbol { address, name: start..table.names.len() as u32 };
                match kind {
                    't' | 'T' | 'w' | 'W' => table.text.push(symbol),
                    _ => table.data.push(symbol),
                }
            }
            line.clear();
        }
        if table.text.is_empty() {
            return Err(SymbolError::Empty);
        }
        if table.text.iter().all(|symbol| symbol.address == 0) {
            return Err(SymbolError::Hidden(String::new()));
        }
        // Stable: aliases stay in the list's order.
        table.text.sort_by_key(|symbol| symbol.address);
        Ok(table)
    }

    /// A data symbol's address; for a per-CPU variable the offset that `%gs:` accesses name.
    pub fn data(&self, name: &str) -> Option<u64> {
        self.data.iter().find(|symbol| self.name(symbol) == name).map(|symbol| symbol.address)
    }

    /// The functions that stem from the C function `name`: itself, and what the compiler made of it
    /// (`.isra.0`, `.constprop.0`, …), but not the cold parts that it moved away.
    pub fn functions<'a>(&'a self, name: &'a str) -> impl Iterator<Item = TextSymbol<'a>> {
        self.text
            .iter()
            .enumerate()
            .filter(move |(_, symbol)| {
                let suffix = self.name(symbol).strip_prefix(name);
                suffix.is_some_and(|suffix| {
                    suffix.is_empty() || (suffix.starts_with('.') && !is_cold(suffix))
                })
            })
            .map(|(index, symbol)| self.text_symbol(index, symbol))
    }

    /// The function at or around an address; of several names at one address the first.
    pub fn containing(&self, address: u64) -> Option<TextSymbol<'_>> {
        let after = self.text.partition_point(|symbol| symbol.address <= address);
        let start = self.text.get(after.checked_sub(1)?)?.address;
        let first = self.text.partition_point(|symbol| symbol.address < start);
        let found = self.text_symbol(first, self.text.get(first)?);
        found.contains(address).then_some(found)
    }

    fn text_symbol(&self, index: usize, symbol: &Symbol) -> TextSymbol<'_> {
        let rest = self.text.get(index..).unwrap_or_default();
        let next = rest.iter().find(|other| other.address > symbol.address);
        TextSymbol {
            name: self.name(symbol),
            address: symbol.address,
            // Nothing follows the last one: its end is unknown.
            size: next.map_or(0, |next| next.address - symbol.address),
        }
    }

    fn name(&self, symbol: &Symbol) -> &str {
        let range = symbol.name.start as usize..symbol.name.end as usize;
        self.names.get(range).unwrap_or_default()
    }
}

/// Whether a symbol is a cold part: `.cold`, `.cold.0`, `.isra.0.cold`.
pub fn is_cold(name: &str) -> bool {
    name.split('.').skip(1).any(|part| part == "cold")
}

/// `address type name`; a module's name may follow, and then the symbol is not the kernel's own.
fn symbol(line: &[u8]) -> Option<(u64, char, &str)> {
    let mut words = str::from_utf8(line).ok()?.split_ascii_whitespace();
    let address = u64::from_str_radix(words.next()?, 16).ok()?;
    let kind = words.next()?.chars().next()?;
    let name = words.next()?;
    words.next().is_none().then_some((address, kind, name))
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

    const TABLE: &[u8] = b"ffffffff81000000 T _text\n\
        ffffffff81000000 T startup_64\n\
        ffffffff81000150 t finish_task_switch.isra.0.cold\n\
        ffffffff81000100 t finish_task_switch.isra.0\n\
        ffffffff81000140 T __pfx_schedule\n\
        ffffffff81000160 T finish_task_switched\n\
        ffffffff81000170 T last\n\
        000000000002c0c0 D cpu_tlbstate\n\
        ffffffffc0000000 t last\t[module]\n\
        broken\n";

    #[test]
    fn functions_have_the_size_up_to_the_next() {
        let table = SymbolTable::parse(TABLE).unwrap();
        let found: Vec<_> = table.functions("finish_task_switch").collect();
        let whole = TextSymbol {
            name: "finish_task_switch.isra.0",
            address: 0xffff_ffff_8100_0100,
            size: 0x40,
        };
        assert_eq!(found, [whole]);
        assert_eq!(table.containing(0xffff_ffff_8100_013f), Some(whole));
        let cold = table.containing(0xffff_ffff_8100_0150).unwrap();
        assert!(is_cold(cold.name) && !is_cold(whole.name), "{cold:?}");
        let first = table.containing(0xffff_ffff_8100_00ff).unwrap();
        assert_eq!((first.name, first.size), ("_text", 0x100));
        // Where the last one ends is not known, and modules don't count.
        assert_eq!(table.containing(0xffff_ffff_8100_0170), None);
        assert_eq!(table.containing(0xffff_ffff_c000_0000), None);
        assert_eq!(table.containing(0), None);
        assert_eq!(table.data("cpu_tlbstate"), Some(0x2c0c0));
        assert_eq!(table.data("last"), None);
    }

    #[test]
    fn hidden_is_not_the_same_as_absent() {
        let hidden = SymbolTable::parse(&b"0000000000000000 T _text\n"[..]);
        assert!(matches!(hidden, Err(SymbolError::Hidden(_))), "{hidden:?}");
        let empty = SymbolTable::parse(&b"0000000000000001 D data\n"[..]);
        assert!(matches!(empty, Err(SymbolError::Empty)), "{empty:?}");
    }
}
