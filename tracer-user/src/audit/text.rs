//! Kernel text by address, with the symbols around it.

use std::{cell::RefCell, collections::HashMap, io, rc::Rc};

use iced_x86::{
    Decoder, DecoderOptions, Formatter as _, Instruction, IntelFormatter, OpKind, Register,
};

use super::memory::Memory;
use crate::kernel::{SymbolTable, TextSymbol};

/// Read at once: text is mapped by whole pages.
const PAGE: u64 = 4096;

/// The longest that an x86 instruction can be.
const LONGEST: usize = 15;

/// A place in the kernel's text, as a symbol and an offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The symbol at or before it.
    pub(super) symbol: String,
    /// Bytes from that symbol.
    pub(super) offset: u64,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}+{:#x}", self.symbol, self.offset)
    }
}

/// Text and symbols together. Every page is read once.
pub(super) struct Text<'a> {
    memory: &'a dyn Memory,
    pub(super) symbols: &'a SymbolTable,
    pages: RefCell<HashMap<u64, Rc<[u8]>>>,
}

impl<'a> Text<'a> {
    pub(super) fn new(memory: &'a dyn Memory, symbols: &'a SymbolTable) -> Self {
        Self { memory, symbols, pages: RefCell::default() }
    }

    /// The instruction at an address; [`Instruction::is_invalid`] if the bytes are none.
    pub(super) fn instruction(&self, address: u64) -> io::Result<Instruction> {
        let mut bytes = Vec::with_capacity(2 * LONGEST);
        let mut at = address;
        while bytes.len() < LONGEST {
            let page = match self.page(at & !(PAGE - 1)) {
                Ok(page) => page,
                // What can't be read may lie behind the instruction.
                Err(error) if bytes.is_empty() => return Err(error),
                Err(_) => break,
            };
            let rest = page.get((at & (PAGE - 1)) as usize..).unwrap_or_default();
            bytes.extend(rest.iter().take(LONGEST));
            at = (at & !(PAGE - 1)).wrapping_add(PAGE);
        }
        let mut decoder = Decoder::with_ip(64, &bytes, address, DecoderOptions::NONE);
        Ok(decoder.decode())
    }

    fn page(&self, address: u64) -> io::Result<Rc<[u8]>> {
        if let Some(page) = self.pages.borrow().get(&address) {
            return Ok(Rc::clone(page));
        }
        let mut page = vec![0; PAGE as usize];
        self.memory.read(address, &mut page)?;
        let page: Rc<[u8]> = page.into();
        self.pages.borrow_mut().insert(address, Rc::clone(&page));
        Ok(page)
    }

    /// The symbol at or before an address.
    pub(super) fn symbol(&self, address: u64) -> Option<TextSymbol<'_>> {
        self.symbols.containing(address)
    }

    /// The function that a call or jump to this address enters, if the address is an entry: its
    /// first byte, or a place in the padding before it that leads there (call depth tracking counts
    /// in it, `arch/x86/kernel/callthunks.c`).
    pub(super) fn entered(&self, address: u64) -> Option<TextSymbol<'_>> {
        let symbol = self.symbol(address)?;
        if symbol.name.starts_with("__pfx_") {
            return self.symbol(symbol.address + symbol.size);
        }
        (symbol.address == address).then_some(symbol)
    }

    /// The address in words.
    pub(super) fn place(&self, address: u64) -> Place {
        match self.symbol(address) {
            Some(symbol) => {
                Place { symbol: symbol.name.to_owned(), offset: address - symbol.address }
            }
            None => Place { symbol: "?".to_owned(), offset: 0 },
        }
    }
}

/// An instruction in Intel's syntax. Addresses in it are left out: they would tell where the kernel
/// was loaded.
pub(super) fn words(instruction: &Instruction) -> String {
    let mut words = String::new();
    let mut formatter = IntelFormatter::new();
    formatter.format_mnemonic(instruction, &mut words);
    for operand in 0..instruction.op_count() {
        words.push_str(if operand == 0 { " " } else { ", " });
        match instruction.op_kind(operand) {
            OpKind::Memory if instruction.memory_base() == Register::RIP => words.push_str("[…]"),
            OpKind::Memory | OpKind::Register => {
                // An operand that exists can be formatted.
                let _ = formatter.format_operand(instruction, &mut words, operand);
            }
            _ => words.push('…'),
        }
    }
    words
}
