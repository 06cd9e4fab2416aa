//! The built-in workload: threads that make the interesting things happen.
