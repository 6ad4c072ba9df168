//! MQTT from the outside: a real broker, and devices that publish to it.

mod fleet;
mod messages;
mod sessions;
