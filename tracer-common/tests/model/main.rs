//! The model core held against stories and against simulated kernels: historical bugs that it must
//! find, odd but correct behaviour that it must not blame, and properties that hold for any stream
//! of events.

mod bugs;
mod common;
mod correct;
mod full;
mod losses;
mod planted;
mod properties;
mod returns;
mod rq;
mod shape;
mod sim;
mod unknown;
mod wire;
