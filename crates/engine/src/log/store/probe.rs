//! Whether a store is one that a log, or what a destination keeps, can be kept in: tried before anything depends on it.

use std::sync::Arc;

use object_store::path::Path;

use super::{Created, Placed, Store};
use crate::{Error, Result, Time, log::names, world::World};

/// Nobody takes so many microseconds to try a store out.
const LEFT_BEHIND: i64 = 3_600_000_000;

impl Store {
    /// Does once, with an object of its own, all that a log does: puts it, is refused to put another in its place, reads, lists and
    /// removes it. A local folder and memory are known and not asked.
    ///
    /// Fails with [`crate::ErrorKind::Config`] when the store would let one process overwrite another's commit, or is not there at all;
    /// with [`crate::ErrorKind::Denied`] when it may not be used so.
    pub async fn probe(&self, world: &World) -> Result<()> {
        if self.is_known {
            return Ok(());
        }
        let now = world.now();
        let path = names::probe(&format!("{}-{}", now.compact(), world.name(8)));
        let outcome = self.try_out(&path, now).await;
        // That it could be put says nothing of the right to remove it, which may never have been there.
        let removing = Self { health: Arc::default(), ..self.clone() };
        let removed = removing.delete(&path).await;
        outcome.and(removed)
    }

    async fn try_out(&self, path: &Path, now: Time) -> Result<()> {
        let unsound = |what: &str| {
            Error::config(format!("the store `{}` cannot be relied on: {what}", self.description))
                .hint("use one that keeps to conditional writes (`If-None-Match: *`), as Azure, S3 and Google Cloud Storage do")
        };
        let one = path.to_string().into_bytes();
        if self.place(path, one.clone().into()).await? != Placed::Ours {
            return Err(unsound("something else stands under a new name"));
        }
        let two = [one.as_slice(), b" again"].concat();
        if self.create(path, two.into()).await? == Created::Yes {
            return Err(unsound("it puts an object in the place of another although it is told not to"));
        }
        if self.get(path).await?.is_none_or(|found| found != one) {
            return Err(unsound("it does not give back what was put"));
        }
        let probes = self.objects(&names::probes()).await?;
        if !probes.contains(path) {
            return Err(unsound("it does not list what was put"));
        }
        // A process that was killed has left its own behind.
        let oldest = names::probe(&Time::from_micros(now.as_micros().saturating_sub(LEFT_BEHIND)).compact());
        for left in probes.iter().filter(|probe| **probe < oldest) {
            self.delete(left).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use async_trait::async_trait;
    use futures::{StreamExt, stream::BoxStream};
    use object_store::{
        CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
        PutMultipartOptions, PutOptions, PutPayload, PutResult, memory::InMemory,
    };

    use super::*;
    use crate::ErrorKind;

    /// A store that overwrites, or does not remove, whatever it is told.
    #[derive(Debug, Default)]
    struct Flawed {
        kept: InMemory,
        overwrites: bool,
        hoards: bool,
    }

    #[async_trait]
    impl ObjectStore for Flawed {
        async fn put_opts(
            &self,
            location: &Path,
            payload: PutPayload,
            opts: PutOptions,
        ) -> object_store::Result<PutResult> {
            let mode = if self.overwrites { PutMode::Overwrite } else { opts.mode };
            self.kept.put_opts(location, payload, PutOptions { mode, ..opts }).await
        }

        async fn put_multipart_opts(
            &self,
            location: &Path,
            opts: PutMultipartOptions,
        ) -> object_store::Result<Box<dyn MultipartUpload>> {
            self.kept.put_multipart_opts(location, opts).await
        }

        async fn get_opts(&self, location: &Path, options: GetOptions) -> object_store::Result<GetResult> {
            self.kept.get_opts(location, options).await
        }

        fn delete_stream(
            &self,
            locations: BoxStream<'static, object_store::Result<Path>>,
        ) -> BoxStream<'static, object_store::Result<Path>> {
            if self.hoards {
                // As S3 says it of one object among many.
                let denied = "DeleteObjects request failed for key a: Access Denied (code: AccessDenied)";
                let denied = || object_store::Error::Generic { store: "flawed", source: denied.into() };
                return locations.map(move |_| Err(denied())).boxed();
            }
            self.kept.delete_stream(locations)
        }

        fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
            self.kept.list(prefix)
        }

        async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
            self.kept.list_with_delimiter(prefix).await
        }

        async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> object_store::Result<()> {
            self.kept.copy_opts(from, to, options).await
        }
    }

    impl fmt::Display for Flawed {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("flawed")
        }
    }

    #[tokio::test]
    async fn a_store_that_overwrites_is_refused_and_left_as_it_was() {
        let careless = Flawed { overwrites: true, ..Flawed::default() };
        let careless = Store::new(Arc::new(careless), "careless");
        let error = careless.probe(&World::real()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        let sound = Store::new(Arc::new(InMemory::new()), "sound");
        sound.probe(&World::real()).await.unwrap();
        for store in [careless, sound] {
            assert_eq!(store.objects(&Path::default()).await.unwrap(), []);
        }
    }

    #[tokio::test]
    async fn who_may_write_but_not_remove_is_denied() {
        let hoarding = Flawed { hoards: true, ..Flawed::default() };
        let error = Store::new(Arc::new(hoarding), "hoarding").probe(&World::real()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
        assert!(error.hint_text().is_some());
    }

    #[tokio::test]
    async fn what_a_killed_process_left_is_removed_after_an_hour() {
        let (store, world) = (Store::new(Arc::new(InMemory::new()), "sound"), World::real());
        let left = |minutes: i64| {
            let time = Time::from_micros(world.now().as_micros() - minutes * 60_000_000);
            names::probe(&format!("{}-abc", time.compact()))
        };
        let (old, recent) = (left(61), left(50));
        for path in [&old, &recent] {
            store.create(path, "probe".into()).await.unwrap();
        }
        store.probe(&world).await.unwrap();
        assert_eq!(store.objects(&Path::default()).await.unwrap(), [recent]);
    }
}
