//! The change model: what one change of one record is, and how many of them travel together.
//!
//! A [`ChangeBatch`] is columnar: one column per field of the stream's schema beside a few of Tidemark's own.
//! NULL, unchanged and exceptional values are told apart for every cell; see [`Cell`].

mod batch;
mod bitmap;
mod decimals;
mod deletion;
mod exceptions;
mod filter;
mod json;
mod key_move;
mod keys;
mod op;
mod projection;
mod record_batch;
mod reshape;
mod size;
mod texts;
mod transitions;
mod value;

pub use batch::{Before, ChangeBatch, Columns};
pub use bitmap::{Bitmap, BitmapBuilder};
pub use decimals::decimals_fit;
pub use exceptions::{Exceptions, ExceptionsBuilder};
pub use json::{write_json, write_object};
pub(crate) use keys::Keys;
pub use op::Op;
pub use reshape::{Refused, Reshape};
pub(crate) use size::slice_bytes;
pub use texts::Texts;
pub use value::{Cell, Column, Value};

pub(crate) use record_batch::reserved;
