//! What a failed attempt asks for.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use tidemark_engine::Time;

use super::asked_wait;

/// What to do after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http::client) enum Reaction {
    /// Send it again, after the wait that the server asks for.
    Repeat(Option<Duration>),
    /// The same, and everybody who shares the connection waits too: the server counts us together.
    RepeatTogether(Option<Duration>),
    /// Renew the credentials, once, and send it again.
    Renew,
    /// It would fail again.
    Stop,
}

impl Reaction {
    /// Whether it is to be sent again as it is.
    pub(in crate::http::client) fn is_repeat(self) -> bool {
        matches!(self, Self::Repeat(_) | Self::RepeatTogether(_))
    }
}

/// The reaction to an answer; `None` where it is no failure.
pub(in crate::http::client) fn of_status(
    status: StatusCode,
    headers: &HeaderMap,
    now: Time,
) -> Option<Reaction> {
    let asked = || asked_wait(headers, now);
    let is_exhausted = || headers.get("x-ratelimit-remaining").is_some_and(|left| left.as_bytes() == b"0");
    Some(match status.as_u16() {
        200..=299 | 304 => return None,
        429 => Reaction::RepeatTogether(asked()),
        // GitHub's way to say 429.
        403 if headers.contains_key("retry-after") || is_exhausted() => Reaction::RepeatTogether(asked()),
        503 if asked().is_some() => Reaction::RepeatTogether(asked()),
        408 | 425 => Reaction::Repeat(asked()),
        // Not implemented, another version of HTTP, a network that wants a login.
        501 | 505 | 511 => Reaction::Stop,
        500..=599 => Reaction::Repeat(asked()),
        401 => Reaction::Renew,
        _ => Reaction::Stop,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_its_reaction() {
        let react = |status: u16, headers: &HeaderMap| {
            of_status(StatusCode::from_u16(status).unwrap(), headers, Time::EPOCH)
        };
        let none = HeaderMap::new();
        for fine in [200, 201, 204, 206, 304] {
            assert_eq!(react(fine, &none), None, "{fine}");
        }
        for again in [408, 425, 500, 502, 503, 504, 507, 520, 529] {
            assert_eq!(react(again, &none), Some(Reaction::Repeat(None)), "{again}");
        }
        for stop in [300, 400, 402, 403, 404, 405, 409, 410, 412, 422, 501, 505, 511] {
            assert_eq!(react(stop, &none), Some(Reaction::Stop), "{stop}");
        }
        assert_eq!(react(401, &none), Some(Reaction::Renew));
        let asks: HeaderMap = [("retry-after".parse().unwrap(), "3".parse().unwrap())].into_iter().collect();
        for crowded in [429, 503, 403] {
            let wait = Some(Duration::from_secs(3));
            assert_eq!(react(crowded, &asks), Some(Reaction::RepeatTogether(wait)), "{crowded}");
        }
    }
}
