//! What a tracepoint or a function hands to a program.

use super::{
    Btf, BtfError,
    layout::{Kind, Type},
};

/// One argument of a tracepoint or function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arg {
    /// An integer, enumeration or truth value.
    Number,
    /// A pointer to the struct of this name.
    Struct(String),
    /// A pointer to a function.
    Function,
    /// Any other pointer.
    Pointer,
    /// Something else: a struct by value, a float.
    Other,
}

impl std::fmt::Display for Arg {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number => f.write_str("a number"),
            Self::Struct(name) => write!(f, "struct {name} *"),
            Self::Function => f.write_str("a pointer to a function"),
            Self::Pointer => f.write_str("a pointer"),
            Self::Other => f.write_str("a value that is neither number nor pointer"),
        }
    }
}

/// A tracepoint's arguments, in the order of its `TP_PROTO`, or a function's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prototype(pub Vec<Arg>);

impl Btf {
    /// The tracepoint's prototype, from `btf_trace_NAME`: a typedef of a pointer to a function whose
    /// first argument is the kernel's own (`include/trace/bpf_probe.h`). `None` if this kernel has
    /// no such tracepoint.
    ///
    /// # Errors
    /// [`BtfError::Ambiguous`] if several exist and differ; [`BtfError::Format`] if it is no
    /// tracepoint.
    pub fn tracepoint(&self, name: &str) -> Result<Option<Prototype>, BtfError> {
        let typedef = format!("btf_trace_{name}");
        let mut found: Option<Prototype> = None;
        for id in self.named(&typedef, |kind| kind == Kind::Typedef) {
            let prototype = self.prototype(id)?;
            match &found {
                Some(first) if *first != prototype => {
                    return Err(BtfError::Ambiguous(typedef.clone()));
                }
                _ => found = Some(prototype),
            }
        }
        Ok(found)
    }

    /// A function's prototype; `None` if this kernel has no such function that a program could sit
    /// on. The compiler may have inlined it, or made another of it (`NAME.isra.0`), which has none.
    ///
    /// # Errors
    /// [`BtfError::Ambiguous`] if several exist and differ; [`BtfError::Format`] if it isn't one.
    pub fn function(&self, name: &str) -> Result<Option<Prototype>, BtfError> {
        let mut found: Option<Prototype> = None;
        let ids = self.functions.iter().filter(|func| self.types.name_is(func.name, name));
        for func in ids {
            let func = self.types.get(func.id)?;
            let (_, function) = self.types.resolve(func.word)?;
            if function.kind != Kind::FuncProto {
                return Err(BtfError::format(format!("{name} is a function without a prototype")));
            }
            let prototype = self.arguments(&function, 0)?;
            match &found {
                Some(first) if *first != prototype => {
                    return Err(BtfError::Ambiguous(name.to_owned()));
                }
                _ => found = Some(prototype),
            }
        }
        Ok(found)
    }

    fn prototype(&self, typedef: u32) -> Result<Prototype, BtfError> {
        let odd = || BtfError::format("a btf_trace_ typedef isn't a pointer to a function");
        let (_, pointer) = self.types.resolve(typedef)?;
        if pointer.kind != Kind::Ptr {
            return Err(odd());
        }
        let (_, function) = self.types.resolve(pointer.word)?;
        if function.kind != Kind::FuncProto || function.vlen == 0 {
            return Err(odd());
        }
        self.arguments(&function, 1)
    }

    /// A function's arguments from `first` on.
    fn arguments(&self, function: &Type, first: usize) -> Result<Prototype, BtfError> {
        (first..function.vlen)
            .map(|index| {
                let [_, ty] = self.types.entry(function, index)?;
                self.arg(ty)
            })
            .collect::<Result<_, _>>()
            .map(Prototype)
    }

    fn arg(&self, ty: u32) -> Result<Arg, BtfError> {
        let (_, ty) = self.types.resolve(ty)?;
        Ok(match ty.kind {
            Kind::Int | Kind::Enum | Kind::Enum64 => Arg::Number,
            Kind::Ptr => {
                let (_, to) = self.types.resolve(ty.word)?;
                match to.kind {
                    Kind::Struct if to.name != 0 => {
                        Arg::Struct(self.types.name(to.name).to_owned())
                    }
                    Kind::FuncProto => Arg::Function,
                    _ => Arg::Pointer,
                }
            }
            _ => Arg::Other,
        })
    }
}
