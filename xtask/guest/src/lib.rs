//! What the two ends of a virtual machine share: xtask on the host, `/init` in the guest.
//!
//! A machine is told what to do by a [`job::Job`] in its initramfs. What it has to say goes through
//! a [`mailbox`] in its memory, as a stream of [`frame`]s. A [`witness`] in the emulator may tell what
//! its CPUs did.
#![forbid(unsafe_code)]

pub mod frame;
pub mod job;
pub mod mailbox;
pub mod witness;
