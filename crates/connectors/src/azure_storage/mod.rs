//! What the services of an Azure storage account have in common: where the account is, and who we are to it.

mod account;
mod config;

pub(crate) use account::Account;
pub use config::{AccountKey, Signature};
