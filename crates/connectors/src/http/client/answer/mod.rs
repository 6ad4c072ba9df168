//! What of an answer is believed: it is whole, no larger and no deeper than may be, of the kind that was asked for, and tells
//! of no error inside.

mod body;
mod code;
mod html;
mod shape;
mod unpacked;

pub(super) use body::read;
pub(super) use code::code;
pub(super) use html::is_page;

use bytes::Bytes;
use http::{HeaderMap, header::CONTENT_TYPE};
use tidemark_engine::{Error, world::World};

use super::{
    config::ClientConfig,
    failure::{Failed, What},
    pointer::says_something,
    request::Expect,
};
use shape::Shape;

/// The `body` that was read, as it may be handed on.
pub(super) async fn check(
    what: &What<'_>,
    expect: Expect,
    headers: &HeaderMap,
    body: Bytes,
    config: &ClientConfig,
    world: &World,
) -> Result<Bytes, Failed> {
    if expect == Expect::Anything {
        return Ok(body);
    }
    if is_page(headers, &body) {
        return Err(Failed::stop(
            Error::denied(format!("{what} was answered with a web page, likely one to log in"))
                .hint("check `auth` and the address: the server does not see a program with rights"),
        ));
    }
    check_charset(what, headers)?;
    let body = without_mark(body);
    let (for_scan, deepest, expects_json) = (body.clone(), config.limits.max_nesting, expect == Expect::Json);
    let scan = move || {
        let text = std::str::from_utf8(&for_scan).ok()?;
        Some(if expects_json { shape::scan(text, deepest) } else { Shape::Whole })
    };
    match world.compute_on(body.len(), scan).await? {
        Some(Shape::Whole) => {}
        Some(Shape::Cut) => {
            return Err(Failed::again(Error::unavailable(format!(
                "the answer to {what} ends in the middle"
            ))));
        }
        Some(Shape::TooDeep) => {
            return Err(Failed::stop(
                Error::data(format!("the answer to {what} nests deeper than {deepest} levels"))
                    .hint("raise `limits.max_nesting`, if that is how the source is"),
            ));
        }
        Some(Shape::Other) => {
            return Err(Failed::stop(
                Error::data(format!("the answer to {what} is no JSON"))
                    .hint("check the address, and what it answers in"),
            ));
        }
        None => {
            return Err(Failed::stop(
                Error::data(format!("the answer to {what} is not UTF-8"))
                    .hint("ask for UTF-8, such as by the header `accept: application/json; charset=utf-8`"),
            ));
        }
    }
    if expect == Expect::Json {
        check_inside(what, headers, &body, config)?;
    }
    Ok(body)
}

/// Fails where the answer says that it is in another encoding than UTF-8.
fn check_charset(what: &What<'_>, headers: &HeaderMap) -> Result<(), Failed> {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let named = kind.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("charset")
            .then(|| value.trim().trim_matches('"').to_ascii_lowercase())
    });
    match named.as_deref() {
        None | Some("utf-8" | "utf8" | "us-ascii" | "ascii") => Ok(()),
        Some(_) => Err(Failed::stop(
            Error::data(format!("the answer to {what} is in another encoding than UTF-8"))
                .hint("ask for UTF-8, such as by the header `accept: application/json; charset=utf-8`"),
        )),
    }
}

/// The body without the byte order mark that some servers begin with.
fn without_mark(mut body: Bytes) -> Bytes {
    if body.starts_with(b"\xef\xbb\xbf") {
        drop(body.split_to(3));
    }
    body
}

/// Fails where the answer says 200 outside and tells of an error inside.
fn check_inside(
    what: &What<'_>,
    headers: &HeaderMap,
    body: &[u8],
    config: &ClientConfig,
) -> Result<(), Failed> {
    let Some(path) = &config.error_when else { return Ok(()) };
    let found = path.find(body).map_err(|_| {
        Failed::stop(
            Error::data(format!("the answer to {what} is no sound JSON"))
                .hint("check what the source answers"),
        )
    })?;
    if !found.as_ref().is_some_and(says_something) {
        return Ok(());
    }
    let word = code(headers, body).map(|code| format!(": `{code}`")).unwrap_or_default();
    let error = Error::unavailable(format!("{what} was answered with success, and an error inside{word}"));
    Err(Failed::again(
        error.hint("look up what the source means by it; `error_when` says where it is looked for"),
    ))
}
