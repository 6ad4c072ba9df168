//! .

/// What every session is told at its start, so that texts read the same whatever the server's defaults.
pub(crate) const SESSION: &[(&str, &str)] = &[];
