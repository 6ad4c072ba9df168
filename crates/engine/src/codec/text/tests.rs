//! Blobs that Tidemark would never write: what they say is refused, and takes no more memory than a change may.

use arrow_array::RecordBatch;

use super::{
    Column, Type,
    blob::{Lines, Trailer, Writer},
};
use crate::{ErrorKind, Result, codec::Format};

/// A blob with these lines, which says that it holds `rows` changes of a number `id` and a text `note`.
fn blob(lines: &str, rows: u64) -> bytes::Bytes {
    let column = |name: &str, holds| Column { name: name.into(), holds, nullable: true };
    let columns = vec![column("id", Type::Int64), column("note", Type::Text)];
    let mut writer = Writer::new().unwrap();
    writer.write(lines.as_bytes()).unwrap();
    writer.finish(&Trailer::new(rows, columns)).unwrap()
}

fn read(format: Format, lines: &str, rows: u64) -> Result<Vec<RecordBatch>> {
    format.codec().decode(blob(lines, rows))?.collect()
}

fn refusal(format: Format, lines: &str, rows: u64) -> String {
    let error = read(format, lines, rows).expect_err(lines);
    assert_eq!(error.kind(), ErrorKind::Conflict);
    error.to_string()
}

/// A document of these changes.
fn document(changes: &str) -> String {
    let schema = arrow_schema::Schema::new(vec![
        arrow_schema::Field::new("id", arrow_schema::DataType::Int64, true),
        arrow_schema::Field::new("note", arrow_schema::DataType::Utf8, true),
    ]);
    let empty = Format::Xml.codec().encode(schema.into()).unwrap().finish().unwrap();
    let whole = zstd::decode_all(&empty[..]).unwrap();
    String::from_utf8(whole).unwrap().replace("</changes>\n", &format!("{changes}</changes>\n"))
}

#[test]
fn lines_by_hand_are_read() {
    let lines = "{\"id\":7,\"note\":\"a\\u0000\"}\n{ }\n{\"note\":null}\n";
    assert_eq!(read(Format::Jsonl, lines, 3).unwrap()[0].num_rows(), 3);
    let changes =
        "<change><id>7</id><note>a&#x9;&quot;_x0000_</note></change>\n<change/>\n<change><note/></change>\n";
    assert_eq!(read(Format::Xml, &document(changes), 3).unwrap()[0].num_rows(), 3);
}

#[test]
fn a_line_that_is_no_change_is_refused_without_its_values() {
    for line in [
        "",
        "null",
        "[]",
        "{\"id\":4242",
        "{\"id\":4242}{}",
        "{\"id\":4242.0}",
        "{\"id\":9223372036854775808}",
        "{\"id\":true}",
        "{\"id\":{}}",
        "{\"note\":4242}",
        "{\"note\":[]}",
        "{\"note\":\"\\ud800\"}",
        "{\"id\":4242,\"id\":4242}",
        "{\"note\":\"secret\",\"id\":4242}",
        "{\"other\":4242}",
    ] {
        let said = refusal(Format::Jsonl, &format!("{line}\n"), 1);
        assert!(said.starts_with("cannot decode staged changes from JSON Lines: change 1: "), "{said}");
        assert!(!said.contains("secret") && !said.contains("4242"), "{said}");
    }
    for change in [
        "",
        "<change>",
        "<change></change><change></change>",
        "<change><id>x4242</id></change>",
        "<change><id><![CDATA[4242]]></id></change>",
        "<change><id>4242<!-- --></id></change>",
        "<change><id>4242</id><id>4242</id></change>",
        "<change><note>secret</note><id>4242</id></change>",
        "<change><other>4242</other></change>",
        "<change>secret<id>4242</id></change>",
        "<change><note lang=\"en\">secret</note></change>",
        "<change><note xsi:nil=\"true\">secret</note></change>",
        "<change><note>&secret;</note></change>",
        "<change><note>&#xD800;</note></change>",
        "<change><note>_xD800_</note></change>",
        "<other/>",
    ] {
        let said = refusal(Format::Xml, &document(&format!("{change}\n")), 1);
        assert!(said.starts_with("cannot decode staged changes from XML: change 1: "), "{said}");
        assert!(!said.contains("secret") && !said.contains("4242"), "{said}");
    }
}

#[test]
fn a_document_type_is_refused_wherever_it_stands() {
    let entity = "<!DOCTYPE changes [<!ENTITY passwords SYSTEM \"file:///etc/passwd\">]>";
    let change = "<change><note>&passwords;</note></change>\n";
    let whole = document(change);
    let before_all = whole.replacen("<changes", &format!("{entity}\n<changes"), 1);
    let in_a_change = document(&format!("{entity}{change}"));
    for lines in [before_all, in_a_change] {
        let said = refusal(Format::Xml, &lines, 1);
        assert!(said.contains("it has a document type"), "{said}");
    }
}

#[test]
fn what_stands_around_the_changes_is_what_their_columns_say() {
    let other = document("").replace("xs:long", "xs:int");
    assert!(refusal(Format::Xml, &other, 0).contains("what stands around its changes"));
    assert!(refusal(Format::Xml, &(document("") + "<more/>\n"), 0).contains("behind its last change"));
    assert!(refusal(Format::Jsonl, "{\"id\":1}\n{\"id\":2}\n", 1).contains("behind its last change"));
    assert!(refusal(Format::Jsonl, "{\"id\":1}\n", 2).contains("changes are missing at its end"));
    assert!(refusal(Format::Jsonl, "{\"id\":1}", 1).contains("a line is cut off"));
    assert!(refusal(Format::Xml, "{\"id\":1}\n", 1).contains("what stands around its changes"));
}

#[test]
fn what_unpacks_to_more_than_a_change_is_refused() {
    let huge = blob(&"x".repeat(64 << 20), 1);
    assert!(huge.len() < 64 << 10, "it packs well");
    let (frame, _) = Trailer::split(huge).unwrap();
    let mut lines = Lines::no_longer_than(1 << 20, frame).unwrap();
    assert_eq!(lines.next().unwrap_err(), "a line is longer than any change");
}

#[test]
fn what_is_nested_deeper_than_its_columns_is_refused() {
    for line in
        [format!("{{\"note\":{}", "[".repeat(1 << 20)), format!("{{\"id\":{}", "{\"a\":".repeat(1 << 20))]
    {
        refusal(Format::Jsonl, &(line + "\n"), 1);
    }
    refusal(Format::Xml, &document(&("<change>".repeat(1 << 20) + "\n")), 1);
    let mut holds = Type::Int64;
    for _ in 0..61 {
        holds = Type::List(Box::new(Column { name: "item".into(), holds, nullable: true }));
    }
    assert_eq!(holds.arrow(0), None);
    let columns = vec![Column { name: "deep".into(), holds, nullable: true }];
    let blob = Writer::new().unwrap().finish(&Trailer::new(0, columns)).unwrap();
    for format in [Format::Jsonl, Format::Xml] {
        assert_eq!(format.codec().decode(blob.clone()).err().unwrap().kind(), ErrorKind::Conflict);
    }
}
