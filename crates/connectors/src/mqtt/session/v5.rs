//! The packets of MQTT 5. <https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html>

use bytes::{Buf, BytesMut};
use rumqttc::v5::mqttbytes::{
    Error as PacketError, QoS,
    v5::{
        Connect, ConnectProperties, ConnectReturnCode, Disconnect, DisconnectReasonCode, Filter, Login,
        Packet, PingReq, PubAck, PubAckReason, Publish, PublishProperties, RetainForwardRule, Subscribe,
        SubscribeReasonCode, Unsubscribe,
    },
};
use tidemark_engine::{Error, Result, Time};

use super::{
    IN_FLIGHT, Introduction, Welcome,
    packet::{
        Answer, Incoming, KEEP_ALIVE, MAX_PACKET, Message, Outgoing, Properties, Refusal, bad_topic,
        not_understood, too_large,
    },
};

/// The next packet in `buffer`, if it is there as a whole.
pub(super) fn read(buffer: &mut BytesMut, origin: &str) -> Result<Option<Incoming>> {
    if let Some(code) = take_short_farewell(buffer) {
        let code = DisconnectReasonCode::try_from(code).unwrap_or(DisconnectReasonCode::UnspecifiedError);
        return Ok(Some(Incoming::Farewell(reason(code, origin))));
    }
    let packet = match Packet::read(buffer, Some(MAX_PACKET as u32)) {
        Ok(packet) => packet,
        Err(PacketError::InsufficientBytes(_)) => return Ok(None),
        Err(PacketError::PayloadSizeLimitExceeded { .. }) => return Err(too_large(origin)),
        Err(error) => return Err(not_understood(origin, error)),
    };
    Ok(Some(match packet {
        Packet::Publish(publish) => Incoming::Message(message(publish, origin)?),
        Packet::ConnAck(answer) => {
            let refusal = match answer.code {
                ConnectReturnCode::Success => {
                    let is_known = answer.session_present;
                    return Ok(Some(Incoming::Welcome(match answer.properties {
                        None => Welcome { is_known, ..Welcome::default() },
                        Some(properties) => Welcome {
                            is_known,
                            expiry: properties.session_expiry_interval,
                            in_flight: properties.receive_max,
                            packet_bytes: properties.max_packet_size,
                            takes_qos_1: properties.max_qos != Some(0),
                            retains: properties.retain_available != Some(0),
                        },
                    })));
                }
                ConnectReturnCode::RefusedProtocolVersion | ConnectReturnCode::UnsupportedProtocolVersion => {
                    Refusal::Version
                }
                ConnectReturnCode::BadClientId | ConnectReturnCode::ClientIdentifierNotValid => {
                    Refusal::ClientId
                }
                ConnectReturnCode::BadUserNamePassword
                | ConnectReturnCode::NotAuthorized
                | ConnectReturnCode::Banned
                | ConnectReturnCode::BadAuthenticationMethod => Refusal::Denied,
                _ => Refusal::Busy,
            };
            return Err(refusal.error(origin));
        }
        Packet::SubAck(answer) => {
            let is_granted = |code: &SubscribeReasonCode| matches!(code, SubscribeReasonCode::Success(_));
            Incoming::Subscribed(answer.return_codes.iter().map(is_granted).collect())
        }
        Packet::PubAck(PubAck { pkid, reason, .. }) => Incoming::Answered(
            pkid,
            match reason {
                PubAckReason::Success | PubAckReason::NoMatchingSubscribers => Answer::Taken,
                PubAckReason::NotAuthorized => Answer::Denied,
                PubAckReason::TopicNameInvalid | PubAckReason::PayloadFormatInvalid => Answer::Unfit,
                _ => Answer::Busy,
            },
        ),
        Packet::UnsubAck(_) | Packet::PingResp(_) => Incoming::Alive,
        Packet::Disconnect(farewell) => Incoming::Farewell(reason(farewell.reason_code, origin)),
        _ => return Err(not_understood(origin, PacketError::IncorrectPacketFormat)),
    }))
}

/// The library reads a farewell only together with its properties, which may be left out, and so may the reason: section 3.14.2.
fn take_short_farewell(buffer: &mut BytesMut) -> Option<u8> {
    let (code, length) = match buffer[..] {
        [0xe0, 0, ..] => (0, 2),
        [0xe0, 1, code, ..] => (code, 3),
        _ => return None,
    };
    buffer.advance(length);
    Some(code)
}

/// Topics have no aliases here: we have said that we take none.
fn message(publish: Publish, origin: &str) -> Result<Message> {
    let properties = publish.properties.unwrap_or_default();
    Ok(Message {
        id: match publish.qos {
            QoS::AtMostOnce => None,
            QoS::AtLeastOnce => Some(publish.pkid),
            QoS::ExactlyOnce => return Err(not_understood(origin, PacketError::IncorrectPacketFormat)),
        },
        topic: String::from_utf8(publish.topic.into()).map_err(|_| bad_topic(origin))?,
        payload: publish.payload,
        is_again: publish.dup,
        is_retained: publish.retain,
        received_at: Time::EPOCH,
        properties: Properties {
            content_type: properties.content_type,
            response_topic: properties.response_topic,
            user: properties.user_properties,
        },
        memory: None,
    })
}

/// Why the broker ends the connection.
fn reason(code: DisconnectReasonCode, origin: &str) -> Error {
    match code {
        DisconnectReasonCode::SessionTakenOver => {
            Error::conflict(format!("somebody else has connected to `{origin}` by our `client_id`"))
                .hint("give each pipeline a `client_id` of its own, and run each once: of two that share a session both miss messages")
        }
        DisconnectReasonCode::NotAuthorized => Error::denied(format!("`{origin}` does not let us go on"))
            .hint("check what the broker lets this user do"),
        code => Error::unavailable(format!("`{origin}` has ended the connection ({code:?})")),
    }
}

/// Adds what we say to `buffer`; `id` is for what is answered.
pub(super) fn write(packet: Outgoing, id: u16, buffer: &mut BytesMut) -> Result<()> {
    let packet = match packet {
        Outgoing::Subscribe(filters) => {
            let filter = |path| Filter {
                path,
                qos: QoS::AtLeastOnce,
                nolocal: false,
                preserve_retain: false,
                retain_forward_rule: RetainForwardRule::OnNewSubscribe,
            };
            let filters = filters.into_iter().map(filter).collect();
            Packet::Subscribe(Subscribe { pkid: id, filters, properties: None })
        }
        Outgoing::Unsubscribe(filters) => {
            Packet::Unsubscribe(Unsubscribe { pkid: id, filters, properties: None })
        }
        Outgoing::Acknowledge(id) => Packet::PubAck(PubAck::new(id, None)),
        Outgoing::Publish(id, message) => {
            let properties = PublishProperties {
                message_expiry_interval: message.expiry,
                content_type: message.content_type.map(str::to_owned),
                user_properties: message.user,
                ..PublishProperties::default()
            };
            let (topic, qos) = (message.topic, QoS::AtLeastOnce);
            let mut publish = Publish::new(topic, qos, message.payload, Some(properties));
            (publish.pkid, publish.retain) = (id, message.is_retained);
            Packet::Publish(publish)
        }
        Outgoing::Ping => Packet::PingReq(PingReq),
        Outgoing::Farewell => Packet::Disconnect(Disconnect::new(DisconnectReasonCode::NormalDisconnection)),
    };
    packet.write(buffer, None).map(drop).map_err(unwritable)
}

/// Adds the first packet of a connection to `buffer`.
pub(super) fn write_introduction(introduction: &Introduction, buffer: &mut BytesMut) -> Result<()> {
    let mut properties = ConnectProperties::new();
    properties.session_expiry_interval = Some(introduction.expiry);
    properties.receive_maximum = Some(IN_FLIGHT);
    let connect = Connect {
        keep_alive: KEEP_ALIVE,
        client_id: introduction.client_id.clone(),
        clean_start: introduction.expiry == 0,
        properties: Some(properties),
    };
    let login = introduction.username.as_ref().map(|username| {
        Login::new(username, introduction.password.as_ref().map_or("", |password| password.expose()))
    });
    Packet::Connect(connect, None, login).write(buffer, None).map(drop).map_err(unwritable)
}

fn unwritable(error: PacketError) -> Error {
    Error::internal("a packet cannot be written").source(error)
}
