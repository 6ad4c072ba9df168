//! Azure Table Storage: the tables of a storage account, as a source.
//!
//! | Question | Module |
//! |---|---|
//! | What does the pipeline file say, and what is wrong with it? | `config`, `validate` |
//! | Where is the account, and how are requests signed? | `account` |
//! | Which tables are there? | `service` |
//! | What is asked for, and where does it go on? | `query`, `place`, `pages` |
//! | What do entities hold? | `entities`, `edm` |
//! | How is each table read? | `plan`, `source` |
//! | Is everything there, and what does it look like? | `look` |

mod account;
mod config;
mod edm;
mod entities;
mod look;
mod pages;
mod place;
mod plan;
mod query;
mod service;
mod source;
mod system;
#[cfg(test)]
mod tests;
mod validate;

pub use config::{Auth, ChangesConfig, SourceConfig, TableStream};
pub use source::Source;
