//! What the kernel side sends ([`wire`]), and the model core that judges it ([`model`]).
//!
//! Both are `no_std`, allocate nothing and hold no storage of their own, so the same code can run
//! in user space and, later, inside an eBPF program.
#![no_std]
#![forbid(unsafe_code)]

pub mod model;
pub mod wire;
