//! `unlazy check` as users run it, on this machine's kernel: exact counts, honest verdicts, and an
//! orderly end whatever happens.
//!
//! Needs root and the eBPF object, so all of it is marked ignored; `cargo xtask test` runs it. By
//! hand: `cargo test --test live -- --ignored --test-threads=1`, as root.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "in an integration test; clippy exempts only what stands under #[test]"
)]

#[path = "live/bad.rs"]
mod bad;
#[path = "live/btf.rs"]
mod btf;
#[path = "live/exact.rs"]
mod exact;
#[path = "live/hotplug.rs"]
mod hotplug;
#[path = "live/identity.rs"]
mod identity;
#[path = "live/output.rs"]
mod output;
#[path = "live/record.rs"]
mod record;
#[path = "live/signals.rs"]
mod signals;
#[path = "live/support.rs"]
mod support;
#[path = "live/windows.rs"]
mod windows;
