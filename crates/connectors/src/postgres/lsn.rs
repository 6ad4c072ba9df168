//! Places in PostgreSQL's write-ahead log.

use std::{fmt, str::FromStr};

/// A log sequence number: a byte's offset in the write-ahead log. Written `16/B374D848`.
/// <https://www.postgresql.org/docs/current/datatype-pg-lsn.html>
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Lsn(pub(super) u64);

impl Lsn {
    /// Eight bytes that compare as the numbers do.
    pub(super) fn to_bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xffff_ffff)
    }
}

/// The text is no log sequence number.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotAnLsn;

impl FromStr for Lsn {
    type Err = NotAnLsn;

    fn from_str(text: &str) -> Result<Self, NotAnLsn> {
        let half = |text: &str| u32::from_str_radix(text, 16).map_err(|_| NotAnLsn);
        let (high, low) = text.split_once('/').ok_or(NotAnLsn)?;
        Ok(Self(u64::from(half(high)?) << 32 | u64::from(half(low)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_read_back() {
        let lsn = Lsn(0x16_B374_D848);
        assert_eq!(lsn.to_string(), "16/B374D848");
        assert_eq!("16/B374D848".parse(), Ok(lsn));
        for text in ["", "16", "16/", "x/0", "1/100000000"] {
            assert_eq!(text.parse::<Lsn>(), Err(NotAnLsn), "{text}");
        }
    }
}
