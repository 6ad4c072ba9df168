use http::{HeaderValue, Method};
use serde_json::json;
use tidemark_engine::ErrorKind;

use super::{server::answer, *};

fn bearer() -> Value {
    json!({"auth": {"type": "bearer", "token": "hunter2"}})
}

#[tokio::test]
async fn redirects_do_not_lead_into_the_private_network() {
    let elsewhere = Server::start(|_| server::json("{}")).await;
    let by_name = format!("http://localhost:{}/", elsewhere.url.port().unwrap());
    for target in
        [by_name.as_str(), "http://10.0.0.1/", "http://169.254.169.254/latest/meta-data/", "http://[::1]/"]
    {
        let to = target.to_owned();
        let server = Server::start(move |_| answer(302, &[("location", &to)], "")).await;
        let leaps = Leaps::default();
        let failure = client(&server, json!({}), &leaps).send(&get(&server, "")).await.unwrap_err();
        assert_eq!(failure.error.kind(), ErrorKind::Config, "{target}: {failure}");
        assert!(failure.error.hint_text().unwrap().contains("allow_hosts: ["), "{target}");
        assert!(leaps.slept().is_empty(), "{target}");
    }
    assert_eq!(elsewhere.seen().len(), 0);
}

#[tokio::test]
async fn an_address_in_the_file_needs_leave_as_well() {
    let server = Server::start(|_| server::json("{}")).await;
    let closed = json!({"allow_hosts": []});
    let config: ClientConfig = serde_json::from_value(closed).unwrap();
    assert_eq!(config.validate(&server.url).len(), 1);
    let open = json!({"allow_hosts": [], "allow_private_addresses": true});
    client(&server, open, &Leaps::default()).send(&get(&server, "")).await.unwrap();
}

#[tokio::test]
async fn credentials_go_to_nobody_else() {
    let other = Server::start(|_| server::json("{}")).await;
    let to = other.url.to_string();
    let server = Server::start(move |seen| match seen.path.as_str() {
        "/away" => answer(302, &[("location", &to)], ""),
        "/near" => answer(301, &[("location", "/there")], ""),
        _ => server::json("{}"),
    });
    let server = server.await;
    let client = client(&server, bearer(), &Leaps::default());
    let mut request = get(&server, "away");
    request.headers.insert("x-own", HeaderValue::from_static("secret"));
    client.send(&request).await.unwrap();
    // A link in an answer may lead elsewhere, too.
    client.send(&Request::get(other.url.clone())).await.unwrap();
    for seen in other.seen() {
        assert_eq!((seen.header("authorization"), seen.header("x-own")), ("", ""), "{seen:?}");
    }
    client.send(&get(&server, "near")).await.unwrap();
    let last = server.seen().pop().unwrap();
    assert_eq!((last.path.as_str(), last.header("authorization")), ("/there", "Bearer hunter2"));
}

#[tokio::test]
async fn redirects_come_to_an_end_and_posts_become_gets() {
    let server = Server::start(|seen| match (&seen.method, seen.path.as_str()) {
        (&Method::POST, "/form") => answer(303, &[("location", "/done")], ""),
        (_, "/loop") => answer(302, &[("location", "/loop")], ""),
        _ => server::json("{}"),
    });
    let server = server.await;
    let client = client(&server, json!({}), &Leaps::default());
    let failure = client.send(&get(&server, "loop")).await.unwrap_err();
    assert_eq!((failure.error.kind(), server.seen().len()), (ErrorKind::Config, 6));
    let post = Request { method: Method::POST, body: "{}".into(), ..get(&server, "form") };
    assert_eq!(client.send(&post).await.unwrap().url.path(), "/done");
    assert_eq!(server.seen().pop().unwrap().method, Method::GET);
}
