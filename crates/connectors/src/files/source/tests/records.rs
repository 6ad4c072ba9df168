//! What becomes of records: kinds, columns, texts to the letter, errors.

use super::*;

#[tokio::test]
async fn what_was_there_is_read_and_what_comes_later_is_created() {
    let mut fixture = Fixture::new("null").await;
    fixture.write("a.csv", "id,name,at\n1,Ann,2013-01-01T05:00:00Z\n2,,2013-01-01 06:00:00+00\n");
    assert_eq!(
        fixture.read().await,
        ["r id=1 name=Ann at=2013-01-01T05:00:00Z", "r id=2 name=NULL at=2013-01-01T06:00:00Z"]
    );
    assert_eq!(fixture.read().await, [""; 0]);
    fixture.append("a.csv", "3,\"a \"\"quoted\"\"\nline\",2013-01-02T00:00:00Z\r\n");
    assert_eq!(fixture.read().await, ["c id=3 name=a \"quoted\"\nline at=2013-01-02T00:00:00Z"]);
    fixture.write("b.csv", "\u{feff}x\r\ntrue\r\n");
    assert_eq!(fixture.read().await, ["r x=true"]);
}

#[tokio::test]
async fn schemas_widen_and_columns_join() {
    let mut fixture = Fixture::new(r#"{"s": {"files": "*.csv"}}"#).await;
    fixture.write("1.csv", "a,b,c\n1,,2013-01-01\n2,,2013-01-02\n");
    assert_eq!(fixture.read().await, ["r a=1 c=2013-01-01 b=NULL", "r a=2 c=2013-01-02 b=NULL"]);
    fixture.write("2.csv", "b,d,a\nx,9007199254740993,1.5\n,,\n");
    assert_eq!(fixture.read().await, ["c a=1.5 b=x d=9007199254740993", "c a=NULL b=NULL d=NULL"]);
    fixture.write("3.csv", "a,d\n0.1234567890123456789,0.5\n");
    assert_eq!(fixture.read().await, ["c a=0.1234567890123456789 d=0.5"]);
    let schema = fixture.source().discover(1).await.unwrap().remove(0).schema;
    let kinds = schema.fields().iter().map(|field| field.kind.clone()).collect::<Vec<_>>();
    assert_eq!(kinds, [Kind::Number, Kind::Date, Kind::Text, Kind::Number]);
}

#[tokio::test]
async fn json_lines_keep_what_they_say() {
    let mut fixture = Fixture::new("null").await;
    fixture.write(
        "a.jsonl",
        concat!(
            "{\"id\":1,\"big\":12345678901234567890,\"f\":1.5,\"o\":{ \"b\" : 1.10 },\"s\":\"x\\u00e9\",\"m\":1}\n",
            "\n",
            "{\"s\":\"2013-01-01\",\"id\":2,\"o\":\"t\\n\",\"f\":null,\"m\":\"1\"}\n",
        ),
    );
    assert_eq!(
        fixture.read().await,
        [
            "r id=1 big=12345678901234567890 f=1.5 o={ \"b\" : 1.10 } s=xé m=1",
            "r id=2 f=NULL o=\"t\\n\" s=2013-01-01 m=1"
        ]
    );
    fixture.append("a.jsonl", "{\"id\":3,\"id\":4}\n");
    let (kind, message) = fixture.fail().await;
    assert_eq!(
        (kind, message.as_str()),
        (ErrorKind::Data, "the record on line 4 of `a.jsonl` has the key `id` twice")
    );
}

#[tokio::test]
async fn unsound_records_are_named_by_file_and_line_and_never_quoted() {
    let cases: [(&str, &[u8], &str); 9] = [
        ("a.csv", b"n,m\n1,2\n1,secret,3\n", "`a.csv` has 3 fields on line 3, but 2 columns"),
        ("a.csv", b"n,m\n1,\"2\n2\"\n1,\xff\n", "column `m` of `a.csv` is not UTF-8 on line 4"),
        ("a.csv", b"n,m\n\xc3,\xa9\n", "column `n` of `a.csv` is not UTF-8 on line 2"),
        ("a.csv", b"n,n\n1,2\n", "the header of `a.csv` names the column `n` twice"),
        ("a.csv", b"n,\n1,2\n", "column 2 of `a.csv` has no name"),
        ("a.csv", b"n,m\n1,2\n,3\n", "a record of `a.csv` on line 3 has no value in the key column `n`"),
        (
            "a.csv",
            b"n,d\n1,2\nsecret,3\n1,x\n",
            "column `d` of `a.csv` has a value on line 4 that is not of its kind `int64`",
        ),
        ("a.jsonl", b"{\"n\":1}\n\"secret\"\n", "line 2 of `a.jsonl` is not a JSON object (at character 8)"),
        (
            "a.jsonl",
            b"{\"n\":1}\n{\"n\":\"\\ud800\"}\n",
            "column `n` of `a.jsonl` is not valid text on line 2",
        ),
    ];
    for (name, content, expected) in cases {
        let mut fixture = Fixture::new(r#"{"a": {"key": ["n"], "types": {"d": "int64"}}}"#).await;
        fixture.write(name, content);
        let (kind, message) = fixture.fail().await;
        assert_eq!((kind, message.as_str()), (ErrorKind::Data, expected));
    }
}

#[tokio::test]
async fn what_was_declared_holds() {
    let mut fixture = Fixture::new(
        r#"{"a": {"types": {"p": "decimal(6,2)", "z": "text", "u": "uuid"}, "exclude": ["x"], "delimiter": ";"}}"#,
    )
    .await;
    fixture.write("a.csv", "p;z;x;u\n1.5;007;secret;11111111-1111-1111-1111-111111111111\n");
    assert_eq!(fixture.read().await, ["r p=1.50 z=007 u=11111111-1111-1111-1111-111111111111"]);
}

#[tokio::test]
async fn quoted_fields_are_texts_even_where_they_look_like_null() {
    let mut fixture = Fixture::new("null").await;
    fixture.write("a.csv", "a,b,c\n\"\",,x\"\"\n\"x\"y,\"\",\n");
    assert_eq!(fixture.read().await, ["r a= b=NULL c=x\"\"", "r a=xy b= c=NULL"]);
}

#[tokio::test]
async fn a_large_file_comes_whole_and_once() {
    let mut fixture = Fixture::new("null").await;
    let mut content = String::from("n,text\n");
    for n in 0..150_000 {
        content += &format!("{n},some text that is neither short nor long\n");
    }
    fixture.write("a.csv", &content);
    let rows = fixture.read().await;
    assert_eq!(rows.len(), 150_000);
    assert!(rows.iter().enumerate().all(|(n, row)| row.starts_with(&format!("r n={n} "))));
    assert!(fixture.bench.log().head().sequence > 2, "there are boundaries within the file");
}

#[tokio::test]
async fn a_column_excluded_before_it_had_a_value_stays_out() {
    let mut fixture = Fixture::new(r#"{"a": {}}"#).await;
    let content = format!("n,x\n{}", "1,\n".repeat(9_000));
    fixture.write("a.csv", format!("{content}1,2,3\n"));
    assert_eq!(fixture.fail().await.0, ErrorKind::Data);
    fixture.bench.news().await.unwrap();
    fixture.streams = r#"{"a": {"exclude": ["x"]}}"#.to_owned();
    fixture.write("a.csv", content);
    assert_eq!(fixture.read().await.pop().unwrap(), "r n=1");
    assert_eq!(fixture.bench.news().await.unwrap().len(), 0);
    fixture.append("a.csv", "2,\n");
    assert_eq!(fixture.read().await, ["c n=2"]);
}
