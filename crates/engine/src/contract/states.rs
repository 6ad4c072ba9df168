//! What a store must give for the states of read strategies to be safe in it.

use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;

use super::log::{commit, group, open};
use crate::{
    ErrorKind, Stop,
    log::{Log, LogWriter, StateObject, States, Store},
    schema::StreamName,
    world::World,
};

pub(super) async fn all(store: impl Fn() -> Store) {
    what_was_put_is_got(store()).await;
    only_what_is_kept_stays(store()).await;
    damage_of_a_state_is_found(store()).await;
}

/// The states of a new writer of the log in `store`, which is made where there is none: what a restart is given.
pub async fn states(store: &Store) -> States {
    of_writer(&LogWriter::open(&open(store).await).await.unwrap(), &open(store).await)
}

fn of_writer(writer: &LogWriter, log: &Log) -> States {
    States::new(log.clone(), writer.epoch(), writer.name(), Arc::default(), Stop::new())
}

async fn left(store: &Store) -> Vec<String> {
    let mut left: Vec<_> =
        store.objects(&"state".into()).await.unwrap().iter().map(ToString::to_string).collect();
    left.sort();
    left
}

async fn what_was_put_is_got(store: Store) {
    let (stream, states) = (StreamName::new("a %/ä"), states(&store).await);
    for content in [Bytes::new(), Bytes::from_static(b"one"), Bytes::from(vec![7; 5 << 20])] {
        let object = states.put(&stream, content.clone()).await.unwrap();
        let named: StateObject = serde_json::from_slice(&serde_json::to_vec(&object).unwrap()).unwrap();
        assert_eq!(named, object, "a cursor can hold its name");
        assert_eq!(self::states(&store).await.get(&named).await.unwrap(), content);
    }
    let findings = Log::inspect(store, World::real()).await.unwrap().unwrap();
    assert!(findings.is_whole() && findings.strays.is_empty(), "{findings:?}");
    assert_eq!(findings.objects, 3);
}

async fn only_what_is_kept_stays(store: Store) {
    let (a, b) = (StreamName::new("a"), StreamName::new("a/b"));
    let log = open(&store).await;
    let mut first = LogWriter::open(&log).await.unwrap();
    let early = of_writer(&first, &log);
    let content = || Bytes::from_static(b"content");
    let (kept, other) = (early.put(&a, content()).await.unwrap(), early.put(&b, content()).await.unwrap());
    early.put(&a, content()).await.unwrap();
    commit(&mut first, vec![group(vec![], "1", None)]).await.unwrap();

    let mut second = LogWriter::open(&open(&store).await).await.unwrap();
    let late = of_writer(&second, &log);
    let later = late.put(&a, content()).await.unwrap();
    early.keep_only(&a, std::slice::from_ref(&kept)).await.unwrap();
    let mut expected = vec![kept.name.clone(), later.name.clone(), other.name.clone()];
    expected.sort();
    assert_eq!(left(&store).await, expected, "a later writer's stays, and so does another stream's");

    commit(&mut second, vec![group(vec![], "2", None)]).await.unwrap();
    late.keep_only(&a, std::slice::from_ref(&later)).await.unwrap();
    late.keep_only(&b, &[]).await.unwrap();
    assert_eq!(
        left(&store).await,
        std::slice::from_ref(&later.name),
        "what the writer before has left behind is gone"
    );
    assert_eq!(late.get(&later).await.unwrap(), content());
    assert_eq!(late.get(&kept).await.unwrap_err().kind(), ErrorKind::Conflict, "it is missing");
}

async fn damage_of_a_state_is_found(store: Store) {
    let (stream, states) = (StreamName::new("a"), states(&store).await);
    let object = states.put(&stream, Bytes::from_static(b"some content")).await.unwrap();
    let like_it = states.put(&stream, Bytes::from_static(b"same content")).await.unwrap();
    let path = Path::from(object.name.as_str());
    let whole = store.get(&path).await.unwrap().unwrap();
    let another = store.get(&Path::from(like_it.name.as_str())).await.unwrap().unwrap();
    assert_eq!(whole.len(), another.len());
    let flipped = |at: usize| {
        let mut bytes = whole.to_vec();
        bytes[at] ^= 1;
        Bytes::from(bytes)
    };
    let cut = whole.slice(..whole.len() - 1);
    for damage in [flipped(0), flipped(whole.len() / 2), flipped(whole.len() - 1), cut, Bytes::new(), another]
    {
        store.replace(&path, damage).await.unwrap();
        let error = states.get(&object).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
        assert!(error.hint_text().unwrap().contains("tidemark resync"), "{error:?}");
        let findings = Log::inspect(store.clone(), World::real()).await.unwrap().unwrap();
        let problems: Vec<&str> = findings.problems.iter().map(|problem| problem.object.as_str()).collect();
        assert_eq!(problems, [object.name.as_str()]);
    }
    store.delete(&path).await.unwrap();
    assert_eq!(states.get(&object).await.unwrap_err().kind(), ErrorKind::Conflict);
}
