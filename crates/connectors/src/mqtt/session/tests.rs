use proptest::prelude::*;
use tidemark_engine::ErrorKind;

use super::*;

fn read(version: Version, bytes: &[u8]) -> Result<Option<Incoming>> {
    version.read(&mut BytesMut::from(bytes), "broker")
}

fn refusal(version: Version, bytes: &[u8]) -> ErrorKind {
    match read(version, bytes) {
        Err(error) | Ok(Some(Incoming::Farewell(error))) => error.kind(),
        other => panic!("{other:?}"),
    }
}

/// The bytes are those of the specifications.
#[test]
fn packets_of_both_versions_read() {
    let known = Welcome { is_known: true, ..Welcome::default() };
    let welcome = read(Version::V4, &[0x20, 2, 1, 0]).unwrap();
    assert!(matches!(welcome, Some(Incoming::Welcome(welcome)) if welcome == known));
    let welcome = read(Version::V5, &[0x20, 8, 1, 0, 5, 0x11, 0, 0, 0, 9]).unwrap();
    assert!(matches!(welcome, Some(Incoming::Welcome(Welcome { is_known: true, expiry: Some(9), .. }))));

    // DUP, QoS 1, retained; topic `a/b`, identifier 10.
    let v4 = [0x3b, 8, 0, 3, b'a', b'/', b'b', 0, 10, b'x'];
    let v5 = [0x3b, 9, 0, 3, b'a', b'/', b'b', 0, 10, 0, b'x'];
    for (version, bytes) in [(Version::V4, &v4[..]), (Version::V5, &v5)] {
        for end in 0..bytes.len() {
            assert!(matches!(read(version, &bytes[..end]), Ok(None)), "half a packet is none yet");
        }
        let Some(Incoming::Message(message)) = read(version, bytes).unwrap() else {
            panic!("it is a message")
        };
        assert_eq!((message.topic.as_str(), &message.payload[..], message.id), ("a/b", &b"x"[..], Some(10)));
        assert!(message.is_again && message.is_retained);
        assert!(matches!(read(version, &[0xd0, 0]), Ok(Some(Incoming::Alive))));
    }
    let granted = read(Version::V4, &[0x90, 4, 0, 1, 1, 0x80]).unwrap();
    assert!(matches!(granted, Some(Incoming::Subscribed(granted)) if granted == [true, false]));
    let granted = read(Version::V5, &[0x90, 5, 0, 1, 0, 1, 0x87]).unwrap();
    assert!(matches!(granted, Some(Incoming::Subscribed(granted)) if granted == [true, false]));
}

#[test]
fn what_is_published_reads_as_it_was_written() {
    let message = Publication {
        topic: "a/b".into(),
        payload: "x".into(),
        is_retained: true,
        expiry: Some(60),
        content_type: Some("application/json"),
        user: vec![("tidemark-id".into(), "7".into())],
    };
    for version in [Version::V4, Version::V5] {
        let mut buffer = BytesMut::new();
        version.write(Outgoing::Publish(10, message.clone()), 1, &mut buffer).unwrap();
        let Some(Incoming::Message(read)) = version.read(&mut buffer, "broker").unwrap() else {
            panic!("it is a message")
        };
        assert_eq!((read.topic.as_str(), &read.payload[..], read.id), ("a/b", &b"x"[..], Some(10)));
        assert!(read.is_retained && !read.is_again && buffer.is_empty());
        if version == Version::V5 {
            assert_eq!(read.properties.content_type.as_deref(), Some("application/json"));
            assert_eq!(read.properties.user, message.user);
        }
    }
}

#[test]
fn answers_to_what_is_published_read() {
    let answer = |version, bytes: &[u8]| match read(version, bytes).unwrap() {
        Some(Incoming::Answered(10, answer)) => answer,
        other => panic!("{other:?}"),
    };
    assert_eq!(answer(Version::V4, &[0x40, 2, 0, 10]), Answer::Taken);
    assert_eq!(answer(Version::V5, &[0x40, 2, 0, 10]), Answer::Taken);
    assert_eq!(answer(Version::V5, &[0x40, 3, 0, 10, 0x10]), Answer::Taken);
    assert_eq!(answer(Version::V5, &[0x40, 4, 0, 10, 0x87, 0]), Answer::Denied);
    assert_eq!(answer(Version::V5, &[0x40, 4, 0, 10, 0x99, 0]), Answer::Unfit);
    assert_eq!(answer(Version::V5, &[0x40, 4, 0, 10, 0x97, 0]), Answer::Busy);
}

#[test]
fn refusals_ask_for_their_reaction() {
    assert_eq!(refusal(Version::V4, &[0x20, 2, 0, 1]), ErrorKind::Config);
    assert_eq!(refusal(Version::V4, &[0x20, 2, 0, 4]), ErrorKind::Denied);
    assert_eq!(refusal(Version::V4, &[0x20, 2, 0, 3]), ErrorKind::Unavailable);
    assert_eq!(refusal(Version::V5, &[0x20, 3, 0, 0x86, 0]), ErrorKind::Denied);
    assert_eq!(refusal(Version::V5, &[0x20, 3, 0, 0x84, 0]), ErrorKind::Config);
    // Farewells: taken over, with and without properties; shutting down; without a reason.
    assert_eq!(refusal(Version::V5, &[0xe0, 1, 0x8e]), ErrorKind::Conflict);
    assert_eq!(refusal(Version::V5, &[0xe0, 2, 0x8e, 0]), ErrorKind::Conflict);
    assert_eq!(refusal(Version::V5, &[0xe0, 1, 0x8b]), ErrorKind::Unavailable);
    assert_eq!(refusal(Version::V5, &[0xe0, 0]), ErrorKind::Unavailable);
    // QoS 2, which nobody asked for; a message that is too large.
    assert_eq!(refusal(Version::V4, &[0x34, 5, 0, 1, b'a', 0, 1]), ErrorKind::Unavailable);
    assert_eq!(refusal(Version::V5, &[0x30, 0xff, 0xff, 0xff, 0x7f]), ErrorKind::Data);
}

proptest! {
    #[test]
    fn whatever_a_broker_sends_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        for version in [Version::V4, Version::V5] {
            let mut buffer = BytesMut::from(&bytes[..]);
            while let Ok(Some(_)) = version.read(&mut buffer, "broker") {}
        }
    }
}
