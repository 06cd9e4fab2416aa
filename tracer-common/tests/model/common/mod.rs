//! The words in which the tests speak: storage, tasks, stories.

mod full;
mod runs;
mod script;
mod store;
mod stream;
mod who;

pub(crate) use full::Plant;
pub(crate) use runs::runs;
pub(crate) use script::{Entry, Kernel, OnCpu};
pub(crate) use store::Maps;
pub(crate) use stream::{Told, cr3_told_later, judge, with_gap};
pub(crate) use who::{A, B, C, IDLE, REGISTERED, Who, kthread, user};
