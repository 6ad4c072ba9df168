//! What a PostgreSQL source promises, each case by itself.
