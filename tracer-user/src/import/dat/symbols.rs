//! What is at an address of the kernel's text: a copy of /proc/kallsyms.

/// Functions by their addresses.
#[derive(Debug, Default)]
pub(super) struct Symbols {
    text: String,
    /// Address, and where the name stands in `text`. By address.
    all: Vec<(u64, u32, u32)>,
}

impl Symbols {
    /// Reads lines as `ffffffff81000000 T name [module]`. Where addresses are hidden, all are 0, and
    /// say nothing.
    pub(super) fn read(text: &[u8]) -> Self {
        let text = String::from_utf8_lossy(text).into_owned();
        let mut all = Vec::new();
        let begin = text.as_ptr() as usize;
        for line in text.lines() {
            let mut words = line.split_whitespace();
            if let (Some(address), Some("t" | "T" | "w" | "W"), Some(name)) =
                (words.next(), words.next(), words.next())
                && let Ok(address @ 1..) = u64::from_str_radix(address, 16)
            {
                let at = (name.as_ptr() as usize - begin) as u32;
                all.push((address, at, at + name.len() as u32));
            }
        }
        all.sort_unstable();
        Self { text, all }
    }

    /// The function that an address is in.
    pub(super) fn name(&self, address: u64) -> Option<&str> {
        let after = self.all.partition_point(|&(begin, ..)| begin <= address);
        let (_, begin, end) = *self.all.get(after.checked_sub(1)?)?;
        self.text.get(begin as usize..end as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_addresses() {
        let text = b"20 T b\n10 t a\n0 T hidden\n30 D data\nx T y\n40 T m\t[module]\n";
        let symbols = Symbols::read(text);
        let names = [0, 0x10, 0x1f, 0x20, 0x35, 0x40].map(|address| symbols.name(address));
        assert_eq!(names, [None, Some("a"), Some("a"), Some("b"), Some("b"), Some("m")]);
    }
}
