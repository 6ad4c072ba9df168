//! Where the next page is, as an answer says.

use http::header::LINK;
use tidemark_engine::{Error, Result};
use url::Url;

use super::{
    super::{client::Answer, config::Paging},
    place::Place,
};
use crate::records::{Cell, Passed, RecordPath, Rows, text_beside};

/// How the pages of a stream follow each other.
#[derive(Debug)]
pub(super) struct Paged {
    paging: Paging,
    /// Where the answer says what it says.
    path: Option<RecordPath>,
}

impl Paged {
    /// As the pipeline file says.
    pub(super) fn new(paging: &Paging) -> Result<Self> {
        let path = match paging {
            Paging::Link { next } | Paging::Token { next, .. } => Some(next),
            Paging::Page { more, .. } | Paging::Offset { more, .. } => more.as_ref(),
            Paging::None | Paging::LinkHeader | Paging::HeaderToken { .. } | Paging::Keyset { .. } => None,
        };
        Ok(Self { paging: paging.clone(), path: path.map(|path| path.parse()).transpose()? })
    }

    /// The page after the one at `place`, which brought `answer` with `rows`, and `read` records with those that are gone; `None` where
    /// nothing follows. Neither an empty page nor a short one says so where the answer itself can tell.
    pub(super) fn next(
        &self,
        place: Option<&Place>,
        answer: &Answer,
        (rows, read): (&dyn Rows, usize),
        (first, passed): (u64, Passed),
        origin: &str,
    ) -> Result<Option<Place>> {
        let said = || match &self.path {
            Some(path) => text_beside(&answer.body, path, origin, passed)
                .map(|text| text.filter(|text| !text.is_empty())),
            None => Ok(None),
        };
        let number = match place {
            Some(Place::Number(number)) => *number,
            _ => first,
        };
        Ok(match &self.paging {
            Paging::None => None,
            Paging::Link { .. } => said()?.map(|link| absolute(&answer.url, &link, origin)).transpose()?,
            Paging::LinkHeader => match next_link(answer) {
                Some(link) => Some(absolute(&answer.url, &link, origin)?),
                None => None,
            },
            Paging::Token { .. } => said()?.map(Place::Token),
            Paging::HeaderToken { headers } => {
                let mut parameters = Vec::new();
                for (parameter, header) in headers {
                    if let Some(value) = answer.headers.get(header).and_then(|value| value.to_str().ok()) {
                        parameters.push((parameter.clone(), value.to_owned()));
                    }
                }
                (!parameters.is_empty()).then_some(Place::Parameters(parameters))
            }
            Paging::Page { .. } => match said()?.as_deref() {
                Some("false") => None,
                Some("true") => Some(Place::Number(number + 1)),
                // How many pages there are.
                Some(pages) => match pages.parse::<u64>() {
                    Ok(pages) => (number + 1 < first + pages).then_some(Place::Number(number + 1)),
                    Err(_) => return Err(self.says_nothing(origin)),
                },
                None => (read > 0).then_some(Place::Number(number + 1)),
            },
            Paging::Offset { .. } => {
                let behind = number + read as u64;
                match said()?.as_deref() {
                    Some("false") => None,
                    // A page that is empty although there are more would be asked for again and again.
                    Some("true") if read == 0 => return Err(stands_still(origin)),
                    Some("true") => Some(Place::Number(behind)),
                    Some(total) => match total.parse::<u64>() {
                        Ok(total) if behind < total && read == 0 => return Err(stands_still(origin)),
                        Ok(total) => (behind < total).then_some(Place::Number(behind)),
                        Err(_) => return Err(self.says_nothing(origin)),
                    },
                    None => (read > 0).then_some(Place::Number(behind)),
                }
            }
            Paging::Keyset { column, .. } => match rows.len() {
                0 => None,
                len => {
                    let index = rows.names().iter().position(|name| name == column);
                    match index.map(|index| rows.cell(index, len - 1)) {
                        Some(Cell::Value { text, .. }) => Some(Place::Token(text.to_owned())),
                        _ => {
                            return Err(Error::data(format!(
                                "the last record of `{origin}` has no value in `{column}`, behind which the next page begins"
                            ))
                            .hint("choose another column under `paging`"));
                        }
                    }
                }
            },
        })
    }

    fn says_nothing(&self, origin: &str) -> Error {
        Error::data(format!("`{origin}` does not say under `more` whether there are more pages"))
            .hint("name a place with a truth value or a number, or leave `more` out")
    }
}

fn stands_still(origin: &str) -> Error {
    Error::data(format!("`{origin}` has no records and says that there are more"))
        .hint("look at what the server sends; leave `more` out to read until a page is empty")
}

/// A link as it is to be followed: relative ones begin where the answer came from.
pub(super) fn absolute(from: &Url, link: &str, origin: &str) -> Result<Place> {
    let url = from.join(link).map_err(|error| {
        Error::data(format!("the link to the next page in `{origin}` is none")).source(error)
    })?;
    Ok(Place::Url(url.into()))
}

/// The target of `rel="next"` in the `Link` headers (RFC 8288).
fn next_link(answer: &Answer) -> Option<String> {
    let headers = answer.headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok());
    let links = headers.flat_map(links);
    links
        .into_iter()
        .find(|(_, rel)| rel.split(' ').any(|rel| rel.eq_ignore_ascii_case("next")))
        .map(|(url, _)| url)
}

/// The targets of a `Link` header, each with its relations.
fn links(header: &str) -> Vec<(String, String)> {
    let mut links = Vec::new();
    let mut rest = header;
    while let Some((_, behind)) = rest.split_once('<') {
        let Some((target, behind)) = behind.split_once('>') else { break };
        let (parameters, next) = until_comma(behind);
        let rel = parameters.split(';').find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            name.trim().eq_ignore_ascii_case("rel").then(|| value.trim().trim_matches('"').to_owned())
        });
        links.push((target.to_owned(), rel.unwrap_or_default()));
        rest = next;
    }
    links
}

/// Up to the next comma outside of quotes, and what is behind it.
fn until_comma(text: &str) -> (&str, &str) {
    let mut quoted = false;
    for (at, char) in text.char_indices() {
        match char {
            '"' => quoted = !quoted,
            ',' if !quoted => return (&text[..at], &text[at + 1..]),
            _ => {}
        }
    }
    (text, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_headers_read() {
        let header =
            "<https://a/x?page=2&b=1,2>; title=\"a, b\"; rel=\"next last\", </y>; rel=prev,<z>;REL=NEXT";
        let expected = [("https://a/x?page=2&b=1,2", "next last"), ("/y", "prev"), ("z", "NEXT")];
        assert_eq!(links(header), expected.map(|(url, rel)| (url.to_owned(), rel.to_owned())));
        assert!(links("nonsense").is_empty() && links("<open").is_empty());
    }
}
