//! Lengths of time: months, days and microseconds, none of which converts into another.
//! Source: "Interval Input" and "Interval Output" in PostgreSQL's documentation.

use std::fmt::Write;

use super::calendar::write_fraction;

/// An interval as PostgreSQL keeps it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Interval {
    pub(super) months: i32,
    pub(super) days: i32,
    pub(super) micros: i64,
}

impl Interval {
    /// How PostgreSQL 17 and later keep `infinity`. No earlier version lets such an interval come about by counting.
    pub(super) const INFINITY: Self = Self { months: i32::MAX, days: i32::MAX, micros: i64::MAX };
    /// The same of `-infinity`.
    pub(super) const NEGATIVE_INFINITY: Self = Self { months: i32::MIN, days: i32::MIN, micros: i64::MIN };

    /// Months, days and seconds, each where there are any: `P14M3DT0.5S`, `PT0S`.
    pub(super) fn write_canonical(self, out: &mut String) {
        self.write_date_part(out);
        if self.micros != 0 {
            out.push('T');
            write_seconds(self.micros.unsigned_abs(), self.micros < 0, out);
        } else if self.months == 0 && self.days == 0 {
            out.push_str("T0S");
        }
    }

    /// As PostgreSQL reads it: hours apart from seconds, of which older versions take no more than 32 bits.
    pub(super) fn write_literal(self, out: &mut String) {
        self.write_date_part(out);
        let sign = if self.micros < 0 { "-" } else { "" };
        let (hours, rest) =
            (self.micros.unsigned_abs() / 3_600_000_000, self.micros.unsigned_abs() % 3_600_000_000);
        out.push('T');
        if hours != 0 {
            let _ = write!(out, "{sign}{hours}H");
        }
        if rest != 0 || hours == 0 {
            write_seconds(rest, self.micros < 0, out);
        }
    }

    fn write_date_part(self, out: &mut String) {
        out.push('P');
        // Writing to a `String` cannot fail.
        if self.months != 0 {
            let _ = write!(out, "{}M", self.months);
        }
        if self.days != 0 {
            let _ = write!(out, "{}D", self.days);
        }
    }

    /// Reads ISO 8601 with designators (`P1Y2M-3DT4H5M6.5S`), each part with a sign of its own.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut rest = text.strip_prefix('P').filter(|rest| !rest.is_empty())?;
        let (mut months, mut days, mut micros, mut is_time) = (0_i128, 0_i128, 0_i128, false);
        while !rest.is_empty() {
            if let Some(time) = rest.strip_prefix('T') {
                (rest, is_time) = (time, true);
                continue;
            }
            let end = rest.find(|c: char| c.is_ascii_alphabetic())?;
            let (amount, unit) = (Amount::parse(&rest[..end])?, rest.as_bytes()[end]);
            match (unit, is_time) {
                (b'Y', false) => months += amount.whole()? * 12,
                (b'M', false) => months += amount.whole()?,
                (b'W', false) => days += amount.whole()? * 7,
                (b'D', false) => days += amount.whole()?,
                (b'H', true) => micros += amount.whole()? * 3_600_000_000,
                (b'M', true) => micros += amount.whole()? * 60_000_000,
                (b'S', true) => micros += amount.0,
                _ => return None,
            }
            rest = &rest[end + 1..];
        }
        Some(Self {
            months: i32::try_from(months).ok()?,
            days: i32::try_from(days).ok()?,
            micros: i64::try_from(micros).ok()?,
        })
    }
}

/// A number with up to six digits after the point, in millionths.
struct Amount(i128);

impl Amount {
    fn parse(text: &str) -> Option<Self> {
        let (is_negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty()
            || whole.len() > 15
            || fraction.len() > 6
            || !is_number(whole)
            || !is_number(fraction)
        {
            return None;
        }
        let millionths =
            whole.parse::<i128>().ok()? * 1_000_000 + format!("{fraction:0<6}").parse::<i128>().ok()?;
        Some(Self(if is_negative { -millionths } else { millionths }))
    }

    fn whole(&self) -> Option<i128> {
        (self.0 % 1_000_000 == 0).then_some(self.0 / 1_000_000)
    }
}

fn write_seconds(micros: u64, is_negative: bool, out: &mut String) {
    let sign = if is_negative { "-" } else { "" };
    let _ = write!(out, "{sign}{}", micros / 1_000_000);
    write_fraction((micros % 1_000_000) as i64, out);
    out.push('S');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> Option<String> {
        let mut out = String::new();
        Interval::parse(text)?.write_canonical(&mut out);
        Some(out)
    }

    #[test]
    fn canonical_texts() {
        for (text, expected) in [
            ("PT0S", "PT0S"),
            ("P1Y2M3DT0.5S", "P14M3DT0.5S"),
            ("P-1Y2M-3DT4H-5M6.5S", "P-10M-3DT14106.5S"),
            ("PT-0.5S", "PT-0.5S"),
            ("P2W", "P14D"),
            ("P178956970Y7MT-2562047788H-54.775808S", "P2147483647MT-9223372036854.775808S"),
        ] {
            assert_eq!(canonical(text).as_deref(), Some(expected), "{text}");
            assert_eq!(canonical(expected).as_deref(), Some(expected));
        }
        for text in ["", "P", "1 day", "P1", "PT1D", "P0.5M", "P1S", "PT1.1234567S", "P9999999999M"] {
            assert_eq!(canonical(text), None, "{text}");
        }
    }
}
