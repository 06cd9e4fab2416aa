//! The system calls of the workload that no safe library offers, each behind the narrowest door.
//!
//! Everything else goes through `rustix`: its calls are raw system calls that touch neither `errno`
//! nor any other thread-local, which the `CLONE_VM` children depend on (see [`process::clone_vm`]).
//! This module and its children hold all the unsafe code of the workload.

pub(super) mod aio;
pub(super) mod code;
pub(super) mod hole;
pub(super) mod memory;
pub(super) mod process;
