use std::path::Path;

use futures::{FutureExt, poll};

use super::*;
use crate::{log::Store, world::World};

const AGE: Duration = Duration::from_secs(3_600);

async fn log(folder: &Path) -> Log {
    Log::open_or_create(Store::local(folder).unwrap(), "asked", World::real()).await.unwrap()
}

/// A destination is given changes while its look at the store waits; another one, or itself after an error, looks meanwhile.
#[tokio::test]
async fn nobody_waits_for_a_look_that_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let log = log(folder.path()).await;
    let pause = Request::Pause { destination: "copy".to_owned() };
    let id = log.ask(&pause).await.unwrap();
    let mut left_alone = log.recent_requests(AGE).boxed();
    assert!(poll!(&mut left_alone).is_pending(), "a disk answers later");
    let looked = tokio::select! {
        looked = log.recent_requests(AGE) => looked.unwrap(),
        () = log.world().sleep(Duration::from_secs(20)) => panic!("it waits for somebody who does nothing"),
    };
    assert_eq!(looked, [(id.clone(), pause)]);
    // What is seen to meanwhile is not found again.
    log.forget_request(&id).await.unwrap();
    assert_eq!(left_alone.await.unwrap(), []);
    assert_eq!(log.recent_requests(AGE).await.unwrap(), []);
}
