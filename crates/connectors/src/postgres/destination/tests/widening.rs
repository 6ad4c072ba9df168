//! Columns of tables we made, when their stream's schema changes.

use std::sync::Arc;

use tidemark_engine::{
    ErrorKind,
    schema::{Field, Kind, StreamName, StreamSchema},
    write::WriteMode,
};

use super::{
    apply,
    changes::{Change, Said, batch, text},
    database, open, refused, value,
};

/// A stream `s` with a column `a` like `field`.
fn with(kind: Kind, source_type: Option<&str>) -> Arc<StreamSchema> {
    let mut field = Field::new("a", kind);
    field.source_type = source_type.map(str::to_owned);
    let fields = vec![Field::new("id", Kind::Int64), field];
    StreamSchema::new(StreamName::new("s"), fields, vec!["id".into()]).unwrap()
}

fn created(id: i64, a: &str) -> Change {
    let a = if a == "NULL" { Said::Null } else { text(a) };
    Change::create([text(id), a])
}

#[tokio::test]
async fn a_column_of_ours_holds_what_its_stream_brings() {
    let inet = || Kind::Other { name: "inet".into() };
    let cases = [
        (Kind::Int32, "1", Kind::Int64, "1099511627776", "1 1099511627776 bigint"),
        (Kind::Int64, "1", Kind::Number, "1.5", "1 1.5 numeric"),
        (Kind::Number, "1.50", Kind::Int64, "7", "1.50 7 numeric"),
        (Kind::Json, "{\"a\" :1}", Kind::Text, "free", "{\"a\" :1} free text"),
        (Kind::Text, "free", Kind::Json, "{\"a\" :1}", "free {\"a\" :1} text"),
        (inet(), "10.0.0.1", Kind::Text, "free", "10.0.0.1 free text"),
        (Kind::Float64, "NULL", Kind::Text, "free", "free text"),
    ];
    for (from, one, to, two, expected) in cases {
        let database = database();
        let mut copy = open(&database, WriteMode::Mirror).await;
        apply(&mut copy, 0, 1, vec![batch(&with(from, None), &[created(1, one)], 0)]).await.unwrap();
        apply(&mut copy, 1, 2, vec![batch(&with(to, None), &[created(2, two)], 0)]).await.unwrap();
        let sql = "SELECT string_agg(a::text, ' ' ORDER BY id) || ' ' || min(pg_typeof(a)::text) FROM s";
        assert_eq!(value(&database, sql), expected);
    }
}

/// Text has taken the column over; its older values are spelled as later ones are.
#[tokio::test]
async fn text_is_spelled_as_the_engine_spells_it() {
    for (declared, literal, expected) in [
        ("uuid", "11111111-1111-1111-1111-111111111111", "11111111-1111-1111-1111-111111111111"),
        ("boolean", "t", "true"),
        ("numeric(12,2)", "1.5", "1.50"),
        ("bytea", "\\x00ff", "\\x00ff"),
        ("date", "1969-12-31", "1969-12-31"),
        ("time", "05:00:00.000001", "05:00:00.000001"),
        ("time", "24:00", "24:00:00"),
        ("timestamp", "1970-01-01", "1970-01-01T00:00:00"),
        ("timestamptz", "1970-01-01 00:00:01.5+00", "1970-01-01T00:00:01.500Z"),
        ("timestamp", "-infinity", "refused"),
        ("date", "0044-03-15 BC", "refused"),
        ("float8", "1", "1.0"),
        ("float8", "-1e15", "-1000000000000000.0"),
        ("float4", "0.1", "0.1"),
        ("float8", "1e16", "refused"),
        ("float8", "-0", "refused"),
        ("float8", "NaN", "NaN"),
        ("interval", "1 day", "refused"),
        ("int[]", "{1}", "refused"),
    ] {
        let database = database();
        let mut copy = open(&database, WriteMode::Mirror).await;
        let first = batch(&with(Kind::Text, None), &[created(1, "NULL")], 0);
        apply(&mut copy, 0, 1, vec![first]).await.unwrap();
        database.execute(&format!(
            "ALTER TABLE s ALTER a TYPE {declared} USING NULL; UPDATE s SET a = '{literal}'"
        ));
        let mut copy = open(&database, WriteMode::Mirror).await;
        let second = vec![batch(&with(Kind::Text, None), &[created(2, "free")], 0)];
        if expected == "refused" {
            let error = refused(&mut copy, 1, second).await;
            assert_eq!(error.kind(), ErrorKind::Config, "{declared} {error}");
            assert_eq!(error.stream(), Some(&StreamName::new("s")));
            assert!(error.hint_text().unwrap().contains("new name"), "{error}");
            continue;
        }
        apply(&mut copy, 1, 2, second).await.unwrap();
        assert_eq!(value(&database, "SELECT a FROM s WHERE id = 1"), expected, "{declared}");
    }
}

#[tokio::test]
async fn the_text_of_a_document_is_not_taken_apart() {
    let database = database();
    let mut copy = open(&database, WriteMode::Mirror).await;
    let document = "{\"b\": 1.0, \"a\" :[null]}";
    for (at, source_type) in [(0, None), (1, Some("jsonb"))] {
        let batch = batch(&with(Kind::Json, source_type), &[created(at as i64, document)], 0);
        apply(&mut copy, at, at + 1, vec![batch]).await.unwrap();
    }
    assert_eq!(value(&database, &format!("SELECT count(*) FROM s WHERE a::text = '{document}'")), "2");
}
