//! Whether a store is one that a log can be kept in: tried before anything depends on it.

use object_store::path::Path;

use super::{Created, Placed, Store};
use crate::{Error, Result, log::names, world::World};

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
        let path = names::probe(&format!("{}-{}", world.now().compact(), world.name(8)));
        let outcome = self.try_out(&path).await;
        let removed = self.delete(&path).await;
        outcome.and(removed)
    }

    async fn try_out(&self, path: &Path) -> Result<()> {
        let unsound = |what: &str| {
            Error::config(format!("the store `{}` cannot hold a log: {what}", self.description))
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
        if !self.objects(&names::probes()).await?.contains(path) {
            return Err(unsound("it does not list what was put"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{fmt, sync::Arc};

    use async_trait::async_trait;
    use futures::stream::BoxStream;
    use object_store::{
        CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
        PutMultipartOptions, PutOptions, PutPayload, PutResult, memory::InMemory,
    };

    use super::*;
    use crate::ErrorKind;

    /// A store that overwrites, whatever it is told.
    #[derive(Debug)]
    struct Careless(InMemory);

    #[async_trait]
    impl ObjectStore for Careless {
        async fn put_opts(
            &self,
            location: &Path,
            payload: PutPayload,
            opts: PutOptions,
        ) -> object_store::Result<PutResult> {
            self.0.put_opts(location, payload, PutOptions { mode: PutMode::Overwrite, ..opts }).await
        }

        async fn put_multipart_opts(
            &self,
            location: &Path,
            opts: PutMultipartOptions,
        ) -> object_store::Result<Box<dyn MultipartUpload>> {
            self.0.put_multipart_opts(location, opts).await
        }

        async fn get_opts(&self, location: &Path, options: GetOptions) -> object_store::Result<GetResult> {
            self.0.get_opts(location, options).await
        }

        fn delete_stream(
            &self,
            locations: BoxStream<'static, object_store::Result<Path>>,
        ) -> BoxStream<'static, object_store::Result<Path>> {
            self.0.delete_stream(locations)
        }

        fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
            self.0.list(prefix)
        }

        async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
            self.0.list_with_delimiter(prefix).await
        }

        async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> object_store::Result<()> {
            self.0.copy_opts(from, to, options).await
        }
    }

    impl fmt::Display for Careless {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("careless")
        }
    }

    #[tokio::test]
    async fn a_store_that_overwrites_is_refused_and_left_as_it_was() {
        let careless = Store::new(Arc::new(Careless(InMemory::new())), "careless");
        let error = careless.probe(&World::real()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        let sound = Store::new(Arc::new(InMemory::new()), "sound");
        sound.probe(&World::real()).await.unwrap();
        for store in [careless, sound] {
            assert_eq!(store.objects(&Path::default()).await.unwrap(), []);
        }
    }
}
