use proptest::prelude::*;

use super::*;
use crate::records::rows::{Cell, Rows, Shape};

fn read(document: &str, path: &str) -> Result<BuiltRows> {
    let path = if path.is_empty() { XmlPath::root() } else { XmlPath::parse(path).unwrap() };
    records(document.as_bytes(), &path, "a.xml")
}

fn message(document: &str) -> String {
    read(document, "").unwrap_err().to_string()
}

/// Each record as `name=value`, with the shape of what is nested shown by its brackets.
fn shown(rows: &BuiltRows) -> Vec<String> {
    let cell = |row: usize, (column, name): (usize, &String)| match rows.cell(column, row) {
        Cell::Missing => None,
        Cell::Null => Some(format!("{name}: NULL")),
        Cell::Value { text, shape, .. } => {
            assert_eq!(shape == Shape::Nested, text.starts_with(['{', '[']), "{text}");
            Some(format!("{name}={text}"))
        }
    };
    let record = |row| {
        rows.names().iter().enumerate().filter_map(|named| cell(row, named)).collect::<Vec<_>>().join(" ")
    };
    (0..rows.len()).map(record).collect()
}

#[test]
fn elements_at_a_path_are_records() {
    let document = "\u{feff}<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- two -->\n<orders at=\"x\">\n\
        <order id=\"1\"><price> 2.50 </price><note/><tag>a</tag><tag>b&amp;c</tag></order>\n\
        <other><order id=\"9\"/></other>\n\
        <order id=\"2\" >alone<to zip=\"12&#x41;\"><name><![CDATA[<A>]]></name> </to></order></orders>";
    let rows = read(document, "/orders/order").unwrap();
    assert_eq!(
        shown(&rows),
        [
            "@id=1 price= 2.50  note: NULL tag=[\"a\",\"b&c\"]",
            "@id=2 to={\"@zip\":\"12A\",\"name\":\"<A>\"} #text=alone"
        ]
    );
    assert_eq!((rows.line(0), rows.line(1)), (4, 6));
    assert_eq!(read(document, "/orders/none").unwrap().len(), 0);
    assert_eq!(shown(&read("<a><b>1</b></a>", "").unwrap()), ["b=1"]);
}

#[test]
fn nothing_is_expanded_and_nothing_fetched() {
    let bomb = "<!DOCTYPE a [<!ENTITY b \"bbbb\"><!ENTITY c \"&b;&b;\">]><a>&c;</a>";
    assert!(message(bomb).contains("has a document type"), "{}", message(bomb));
    let outside = "<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>";
    assert!(message(outside).contains("has a document type"));
    assert!(message("<a>&b;</a>").contains("refers to an entity"));
    assert!(message("<a b=\"&c;\"/>").contains("attribute"));
    assert!(message(&"<a>".repeat(65)).contains("too many elements"));
}

#[test]
fn what_is_not_well_formed_is_refused_by_its_line_and_without_its_words() {
    for document in [
        "",
        "secret",
        "<a>",
        "<a></b>",
        "<a/><a/>",
        "<a/>secret",
        "<a b=1/>",
        "<a b='' b=''/>",
        "<a>&#0;</a>",
    ] {
        let message = message(document);
        assert!(
            message.starts_with("line 1 of `a.xml`") && !message.contains("secret"),
            "{document}: {message}"
        );
    }
    assert!(message("<?xml version=\"1.0\" encoding=\"latin1\"?><a/>").contains("other than UTF-8"));
    assert!(records(b"<a>\n\xff</a>", &XmlPath::root(), "a.xml").unwrap_err().to_string().contains("line 2"));
}

#[test]
fn paths_are_names() {
    for text in ["", "a", "/", "//a", "/a/", "/a/*", "/a/@b", "/a b"] {
        assert_eq!(XmlPath::parse(text), None, "{text}");
    }
}

proptest! {
    #[test]
    fn texts_come_back_to_the_letter(values in prop::collection::vec("[ -~é\t\n]{1,20}", 1..5)) {
        let elements = values.iter().enumerate().map(|(number, value)| {
            format!("<c{number}>{}</c{number}>", quick_xml::escape::escape(value.as_str()))
        });
        let document = format!("<a>{}</a>", elements.collect::<String>());
        let rows = read(&document, "").unwrap();
        for (column, value) in values.iter().enumerate() {
            prop_assert_eq!(rows.cell(column, 0), Cell::Value { text: value, raw: value, shape: Shape::Plain });
        }
    }

    #[test]
    fn whatever_comes_is_read_or_refused(document in "(<|>|</|/>|a|b|&|;|#|=|\"|'|!|\\?|\\[|\\]|-| |é){0,40}") {
        let _ = read(&document, "");
        let _ = read(&document, "/a/b");
    }
}
