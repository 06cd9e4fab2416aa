//! Hand-made BTF for tests.

/// Builds BTF type by type; every method gives the new type's id.
#[derive(Default)]
pub(crate) struct Synth {
    types: Vec<u8>,
    strings: Vec<u8>,
    next: u32,
}

impl Synth {
    pub(crate) fn new() -> Self {
        Self { types: Vec::new(), strings: vec![0], next: 1 }
    }

    fn name(&mut self, name: &str) -> u32 {
        if name.is_empty() {
            return 0;
        }
        let at = self.strings.len() as u32;
        self.strings.extend(name.bytes().chain([0]));
        at
    }

    fn words(&mut self, words: &[u32]) {
        self.types.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    }

    /// A type of any kind, with the words that follow it.
    pub(crate) fn raw(&mut self, name: &str, kind: u32, vlen: u32, word: u32, tail: &[u32]) -> u32 {
        let name = self.name(name);
        self.words(&[name, kind << 24 | vlen, word]);
        self.words(tail);
        self.next += 1;
        self.next - 1
    }

    pub(crate) fn int(&mut self, name: &str, bytes: u32) -> u32 {
        self.raw(name, 1, 0, bytes, &[bytes * 8])
    }

    pub(crate) fn ptr(&mut self, to: u32) -> u32 {
        self.raw("", 2, 0, to, &[])
    }

    pub(crate) fn array(&mut self, of: u32, len: u32) -> u32 {
        self.raw("", 3, 0, 0, &[of, of, len])
    }

    pub(crate) fn typedef(&mut self, name: &str, to: u32) -> u32 {
        self.raw(name, 8, 0, to, &[])
    }

    /// A struct of `(name, type, byte offset)`.
    pub(crate) fn structure(&mut self, name: &str, members: &[(&str, u32, u32)]) -> u32 {
        let tail: Vec<u32> =
            members.iter().flat_map(|&(member, ty, at)| [self.name(member), ty, at * 8]).collect();
        self.raw(name, 4, members.len() as u32, 4096, &tail)
    }

    /// `btf_trace_NAME`, with these arguments.
    pub(crate) fn tracepoint(&mut self, name: &str, args: &[u32]) -> u32 {
        let tail: Vec<u32> = std::iter::once(&0).chain(args).flat_map(|&ty| [0, ty]).collect();
        let function = self.raw("", 13, args.len() as u32 + 1, 0, &tail);
        let pointer = self.ptr(function);
        self.typedef(&format!("btf_trace_{name}"), pointer)
    }

    /// A function with these arguments.
    pub(crate) fn function(&mut self, name: &str, args: &[u32]) -> u32 {
        let tail: Vec<u32> = args.iter().flat_map(|&ty| [0, ty]).collect();
        let prototype = self.raw("", 13, args.len() as u32, 0, &tail);
        self.raw(name, 12, 0, prototype, &[])
    }

    /// The section of per-CPU variables: `(name, type, offset)`.
    pub(crate) fn per_cpu(&mut self, variables: &[(&str, u32, u32)]) -> u32 {
        let tail: Vec<u32> = variables
            .iter()
            .flat_map(|&(name, ty, at)| [self.raw(name, 14, 0, ty, &[1]), at, 4])
            .collect();
        self.raw(".data..percpu", 15, variables.len() as u32, 0, &tail)
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut data = vec![0x9f, 0xeb, 1, 0];
        let (types, strings) = (self.types.len() as u32, self.strings.len() as u32);
        for word in [24, 0, types, types, strings] {
            data.extend(word.to_le_bytes());
        }
        data.extend(&self.types);
        data.extend(&self.strings);
        data
    }
}
