//! How often properties are tried.

use proptest::test_runner::{Config, RngSeed};

/// So many runs, always the same ones. With `PROPTEST_CASES` in the environment, that many, always
/// others.
pub(crate) fn runs(cases: u32) -> Config {
    let config = Config { failure_persistence: None, max_shrink_iters: 3_000, ..Config::default() };
    if std::env::var_os("PROPTEST_CASES").is_some() {
        return config;
    }
    Config { cases, rng_seed: RngSeed::Fixed(1), ..config }
}
