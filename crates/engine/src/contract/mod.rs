//! Test suites that every implementation of a trait runs.
