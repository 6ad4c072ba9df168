//! Signatures as Azurite, Microsoft's emulator of Azure Storage, checks them.

use serde_json::json;
use tidemark_engine::{ErrorKind, world::World};
use tidemark_test_servers::Cloud;

use super::*;

/// The account and key that Azurite is known for.
const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

#[tokio::test]
async fn an_account_s_key_signs_requests_to_blobs() {
    let azurite = Cloud::Azure.shared();
    let bucket = azurite.bucket();
    let name = bucket.url.rsplit('/').next().unwrap();
    let base: Url = format!("http://127.0.0.1:{}/{ACCOUNT}/", azurite.port()).parse().unwrap();
    let client = |key: &str| {
        let auth = json!({"type": "azure-shared-key", "account": ACCOUNT, "key": key, "service": "blob"});
        let config = json!({"auth": auth, "allow_hosts": ["127.0.0.1"]});
        let around = Surroundings {
            world: World::real(),
            folder: Path::new("/"),
            budgets: Budgets::default(),
            tokens: None,
        };
        Client::new(&serde_json::from_value(config).unwrap(), &base, around).unwrap()
    };
    let text = |path: &str| Request { expect: Expect::Text, ..Request::get(base.join(path).unwrap()) };
    let path = format!("{name}/a%20b.txt");
    let mut put = Request { method: http::Method::PUT, body: "content".into(), ..text(&path) };
    put.expect = Expect::Anything;
    put.headers.insert("x-ms-blob-type", "BlockBlob".parse().unwrap());
    put.headers.insert("content-type", "text/plain".parse().unwrap());
    let right = client(KEY);
    right.send(&put).await.unwrap();
    assert_eq!(right.send(&text(&path)).await.unwrap().body, "content");
    let list = right.send(&text(&format!("{name}?restype=container&comp=list&prefix=a%20"))).await.unwrap();
    assert!(String::from_utf8_lossy(&list.body).contains("<Name>a b.txt</Name>"));
    let failure = client("a2V5").send(&text(&path)).await.unwrap_err();
    assert_eq!(failure.error.kind(), ErrorKind::Denied);
    assert!(failure.error.message().contains("`AuthorizationFailure`"), "{failure}");
}
