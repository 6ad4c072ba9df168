//! Put-if-absent, with the doubt resolved.

use bytes::Bytes;
use object_store::path::Path;

use super::{Created, Store};
use crate::{Error, ErrorKind, Result};

/// What stands at a name once something was to be put there.
#[derive(Debug, PartialEq, Eq)]
pub enum Placed {
    /// What was to be put, durable: by this call, or by one before whose outcome nobody knew.
    Ours,
    /// Something else.
    Theirs(Bytes),
}

impl Store {
    /// Puts `bytes` at `path` unless there is something else, and tells which of the two is there.
    ///
    /// What exists may be our own: of a put that was sent again on its way, or whose answer was lost. A service may also call an object
    /// existing that is not, where puts of one name meet. So what is there is read.
    pub async fn place(&self, path: &Path, bytes: Bytes) -> Result<Placed> {
        let unclear = match self.create(path, bytes.clone()).await {
            Ok(Created::Yes) => return Ok(Placed::Ours),
            Ok(Created::Exists) => None,
            Err(error) if error.kind() == ErrorKind::Unavailable => Some(error),
            Err(error) => return Err(error),
        };
        match (self.get(path).await, unclear) {
            (Ok(Some(found)), _) if found == bytes => {
                self.settle(path).await?;
                Ok(Placed::Ours)
            }
            (Ok(Some(found)), None) => Ok(Placed::Theirs(found)),
            (_, Some(unclear)) => Err(unclear),
            (Ok(None), None) => Err(Error::unavailable(format!("`{path}` exists but cannot be read"))),
            (Err(error), None) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_there_tells_whose_it_is() {
        let store = Store::memory();
        let path = Path::from("a");
        for _ in 0..2 {
            assert_eq!(store.place(&path, "one".into()).await.unwrap(), Placed::Ours);
        }
        assert_eq!(store.place(&path, "two".into()).await.unwrap(), Placed::Theirs("one".into()));
    }
}
