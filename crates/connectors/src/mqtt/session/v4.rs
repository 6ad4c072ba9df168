//! The packets of MQTT 3.1.1. <https://docs.oasis-open.org/mqtt/mqtt/v3.1.1/os/mqtt-v3.1.1-os.html>

use bytes::BytesMut;
use rumqttc::{
    Connect, ConnectReturnCode, Disconnect, Error as PacketError, Packet, PingReq, Protocol, PubAck, Publish,
    QoS, Subscribe, SubscribeFilter, SubscribeReasonCode, Unsubscribe,
};
use tidemark_engine::{Error, Result, Time};

use super::{
    Introduction, Welcome,
    packet::{
        Answer, Incoming, KEEP_ALIVE, MAX_PACKET, Message, Outgoing, Properties, Refusal, bad_topic,
        not_understood, too_large,
    },
};

/// The next packet in `buffer`, if it is there as a whole.
pub(super) fn read(buffer: &mut BytesMut, origin: &str) -> Result<Option<Incoming>> {
    let packet = match Packet::read(buffer, MAX_PACKET) {
        Ok(packet) => packet,
        Err(PacketError::InsufficientBytes(_)) => return Ok(None),
        Err(PacketError::PayloadSizeLimitExceeded(_)) => return Err(too_large(origin)),
        Err(PacketError::TopicNotUtf8) => return Err(bad_topic(origin)),
        Err(error) => return Err(not_understood(origin, error)),
    };
    Ok(Some(match packet {
        Packet::Publish(publish) => Incoming::Message(Message {
            id: match publish.qos {
                QoS::AtMostOnce => None,
                QoS::AtLeastOnce => Some(publish.pkid),
                QoS::ExactlyOnce => return Err(not_understood(origin, PacketError::IncorrectPacketFormat)),
            },
            topic: publish.topic,
            payload: publish.payload,
            is_again: publish.dup,
            is_retained: publish.retain,
            received_at: Time::EPOCH,
            properties: Properties::default(),
            memory: None,
        }),
        Packet::ConnAck(answer) => {
            let refusal = match answer.code {
                ConnectReturnCode::Success => {
                    return Ok(Some(Incoming::Welcome(Welcome {
                        is_known: answer.session_present,
                        ..Welcome::default()
                    })));
                }
                ConnectReturnCode::RefusedProtocolVersion => Refusal::Version,
                ConnectReturnCode::BadClientId => Refusal::ClientId,
                ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized => Refusal::Denied,
                ConnectReturnCode::ServiceUnavailable => Refusal::Busy,
            };
            return Err(refusal.error(origin));
        }
        Packet::SubAck(answer) => {
            let is_granted = |code: &SubscribeReasonCode| matches!(code, SubscribeReasonCode::Success(_));
            Incoming::Subscribed(answer.return_codes.iter().map(is_granted).collect())
        }
        Packet::PubAck(answer) => Incoming::Answered(answer.pkid, Answer::Taken),
        Packet::UnsubAck(_) | Packet::PingResp => Incoming::Alive,
        _ => return Err(not_understood(origin, PacketError::IncorrectPacketFormat)),
    }))
}

/// Adds what we say to `buffer`; `id` is for what is answered.
pub(super) fn write(packet: Outgoing, id: u16, buffer: &mut BytesMut) -> Result<()> {
    let packet = match packet {
        Outgoing::Subscribe(filters) => {
            let filter = |path| SubscribeFilter { path, qos: QoS::AtLeastOnce };
            Packet::Subscribe(Subscribe { pkid: id, filters: filters.into_iter().map(filter).collect() })
        }
        Outgoing::Unsubscribe(topics) => Packet::Unsubscribe(Unsubscribe { pkid: id, topics }),
        Outgoing::Acknowledge(id) => Packet::PubAck(PubAck::new(id)),
        Outgoing::Publish(id, message) => {
            let mut publish = Publish::from_bytes(message.topic, QoS::AtLeastOnce, message.payload);
            (publish.pkid, publish.retain) = (id, message.is_retained);
            Packet::Publish(publish)
        }
        Outgoing::Ping => {
            PingReq.write(buffer).map_err(unwritable)?;
            return Ok(());
        }
        Outgoing::Farewell => {
            Disconnect.write(buffer).map_err(unwritable)?;
            return Ok(());
        }
    };
    packet.write(buffer, MAX_PACKET).map(drop).map_err(unwritable)
}

/// Adds the first packet of a connection to `buffer`.
pub(super) fn write_introduction(introduction: &Introduction, buffer: &mut BytesMut) -> Result<()> {
    let mut connect = Connect::new(&introduction.client_id);
    connect.protocol = Protocol::V4;
    connect.keep_alive = KEEP_ALIVE;
    connect.clean_session = introduction.expiry == 0;
    if let Some(username) = &introduction.username {
        let password = introduction.password.as_ref().map_or("", |password| password.expose());
        connect.set_login(username, password);
    }
    Packet::Connect(connect).write(buffer, MAX_PACKET).map(drop).map_err(unwritable)
}

fn unwritable(error: PacketError) -> Error {
    Error::internal("a packet cannot be written").source(error)
}
