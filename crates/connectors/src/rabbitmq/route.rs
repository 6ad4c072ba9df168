//! Which exchange and routing key a message goes to.

use lapin::types::ShortString;
use tidemark_engine::{Error, Result};

use super::DestinationConfig;
use crate::messages::NameTemplate;

/// Stands between the two where the exchange depends on the change as well. Neither name may hold it.
const BETWEEN: char = '\0';

/// How the place of a message says its exchange and routing key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Routing {
    /// One exchange for all, the place is the routing key. The default exchange has the empty name.
    Fixed(ShortString),
    /// The place is both.
    ByChange,
}

/// Where a message goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) exchange: ShortString,
    pub(super) routing_key: ShortString,
}

impl Routing {
    /// As the pipeline file says, with the template of places that goes with it.
    pub(super) fn new(config: &DestinationConfig) -> Result<(Self, NameTemplate)> {
        let routing_key = &config.routing_key;
        let Some(exchange) = &config.exchange else {
            return Ok((Self::Fixed(ShortString::default()), routing_key.clone()));
        };
        if let Some(name) = exchange.fixed() {
            return Ok((Self::Fixed(short(name)?), routing_key.clone()));
        }
        let both = format!("{}{BETWEEN}{}", exchange.text(), routing_key.text());
        Ok((Self::ByChange, NameTemplate::parse(&both).map_err(Error::internal)?))
    }

    /// The route that `place` says.
    ///
    /// Fails with [`tidemark_engine::ErrorKind::Data`] where a name is none that the protocol can carry.
    pub(super) fn of(&self, place: &str) -> Result<Route> {
        match self {
            Self::Fixed(exchange) => Ok(Route { exchange: exchange.clone(), routing_key: short(place)? }),
            Self::ByChange => match place.split(BETWEEN).collect::<Vec<_>>()[..] {
                [exchange, routing_key] => {
                    Ok(Route { exchange: short(exchange)?, routing_key: short(routing_key)? })
                }
                _ => Err(Error::data("a name of an exchange or a routing key holds the character NUL")
                    .hint("name them by other columns")),
            },
        }
    }
}

/// A name as the protocol has it.
///
/// Source: AMQP 0-9-1, section 4.2.5.3: short strings have up to 255 bytes.
pub(super) fn short(name: &str) -> Result<ShortString> {
    ShortString::try_new(name).map_err(|_| {
        Error::data(format!("a name of {} bytes is longer than the 255 that AMQP carries", name.len()))
            .hint("use shorter names of exchanges and routing keys")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routing(exchange: Option<&str>) -> (Routing, NameTemplate) {
        let config =
            serde_json::json!({"url": "amqp://localhost", "exchange": exchange, "routing_key": "k.{op}"});
        Routing::new(&serde_json::from_value(config).unwrap()).unwrap()
    }

    #[test]
    fn an_exchange_is_fixed_or_goes_with_the_change() {
        let route = |exchange: &str, routing_key: &str| Route {
            exchange: exchange.into(),
            routing_key: routing_key.into(),
        };
        let (routing_, place) = routing(None);
        assert_eq!((routing_.of("k.c").unwrap(), place.text()), (route("", "k.c"), "k.{op}"));
        let (routing_, place) = routing(Some("changes"));
        assert_eq!((routing_.of("k.c").unwrap(), place.text()), (route("changes", "k.c"), "k.{op}"));
        let (routing_, place) = routing(Some("of-{stream}"));
        assert_eq!(place.text(), "of-{stream}\0k.{op}");
        assert_eq!(routing_.of("of-orders\0k.c").unwrap(), route("of-orders", "k.c"));
    }

    #[test]
    fn a_name_that_would_lead_elsewhere_is_refused() {
        let (routing, _) = routing(Some("{value.region}"));
        assert!(routing.of("a\0b\0c").is_err());
        assert!(routing.of(&format!("{}\0k", "x".repeat(256))).is_err());
        assert!(Routing::Fixed(ShortString::default()).of(&"x".repeat(256)).is_err());
    }
}
