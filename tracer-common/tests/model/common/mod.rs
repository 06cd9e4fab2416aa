//! The words in which the tests speak: storage, tasks, stories.

mod full;
mod script;
mod store;
mod stream;
mod who;

pub(crate) use script::{Entry, Kernel, OnCpu};
pub(crate) use store::Maps;
pub(crate) use stream::{Told, judge, with_gap};
pub(crate) use who::{A, B, C, IDLE, REGISTERED, Who, kthread, user};
