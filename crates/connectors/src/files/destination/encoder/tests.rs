//! What each format makes of the same changes.

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tidemark_engine::{
    arrow_array::{Array, cast::AsArray},
    contract::write::unit,
    write::WriteStrategy,
};

use crate::files::{
    DestinationFormat,
    destination::tests::{batch, open, visible},
};

#[tokio::test]
async fn json_lines_tell_null_from_missing() {
    let folder = tempfile::tempdir().unwrap();
    let mut archive = open(folder.path(), DestinationFormat::Jsonl).await;
    archive.apply(&mut unit(0, 7, vec![batch("a/b", 1)])).await.unwrap();
    let files = visible(folder.path());
    let expected = concat!(
        r#"{"_tidemark_position":"testlog00000-000000000007-000000000","_tidemark_op":"c","#,
        r#""_tidemark_source_time":"1970-01-01T00:00:01.500000Z","id":1,"t":"","j":{"a": 1.10},"d":"1970-01-01","#,
        r#""u":"11111111-1111-1111-1111-111111111111","n":1.10}"#,
        "\n",
        r#"{"_tidemark_position":"testlog00000-000000000007-000000001","_tidemark_op":"r","#,
        r#""id":2,"t":null,"j":null,"d":"infinity","u":null,"n":-0.05}"#,
        "\n",
        r#"{"_tidemark_position":"testlog00000-000000000007-000000002","_tidemark_op":"u","#,
        r#""_tidemark_unchanged":["t"],"id":9223372036854775807,"j":null,"d":"1970-01-02","u":null,"n":0.00}"#,
        "\n",
    );
    let text =
        String::from_utf8(files["a%2Fb/000000000001-000000000007-archive-0000.jsonl"].clone()).unwrap();
    assert_eq!(text, expected);
}

#[tokio::test]
async fn csv_tells_null_from_empty() {
    let folder = tempfile::tempdir().unwrap();
    let mut archive = open(folder.path(), DestinationFormat::Csv).await;
    archive.apply(&mut unit(0, 7, vec![batch("s", 1)])).await.unwrap();
    let text = String::from_utf8(visible(folder.path()).into_values().next().unwrap()).unwrap();
    let expected = concat!(
        "_tidemark_position,_tidemark_op,_tidemark_source_time,_tidemark_unchanged,id,t,j,d,u,n\n",
        "testlog00000-000000000007-000000000,c,1970-01-01T00:00:01.500000Z,,1,\"\",\"{\"\"a\"\":\n1.10}\",",
        "1970-01-01,11111111-1111-1111-1111-111111111111,1.10\n",
        "testlog00000-000000000007-000000001,r,,,2,,null,infinity,,-0.05\n",
        "testlog00000-000000000007-000000002,u,,\"[\"\"t\"\"]\",9223372036854775807,,,1970-01-02,,0.00\n",
    );
    assert_eq!(text, expected);
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    assert!(reader.records().all(|record| record.unwrap().len() == 10));
}

#[tokio::test]
async fn xml_tells_null_from_missing_and_ends_its_document() {
    let folder = tempfile::tempdir().unwrap();
    let mut archive = open(folder.path(), DestinationFormat::Xml).await;
    archive.apply(&mut unit(0, 7, vec![batch("a<b", 1)])).await.unwrap();
    let text = String::from_utf8(visible(folder.path()).into_values().next().unwrap()).unwrap();
    let expected = concat!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n",
        "<changes xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" stream=\"a&lt;b\">\n",
        "<change position=\"testlog00000-000000000007-000000000\" op=\"c\" source_time=\"1970-01-01T00:00:01.500000Z\">",
        "<id>1</id><t></t><j>{\"a\":&#10;1.10}</j><d>1970-01-01</d><u>11111111-1111-1111-1111-111111111111</u><n>1.10</n></change>\n",
        "<change position=\"testlog00000-000000000007-000000001\" op=\"r\">",
        "<id>2</id><t xsi:nil=\"true\"/><j>null</j><d>infinity</d><u xsi:nil=\"true\"/><n>-0.05</n></change>\n",
        "<change position=\"testlog00000-000000000007-000000002\" op=\"u\" unchanged=\"[&quot;t&quot;]\">",
        "<id>9223372036854775807</id><j xsi:nil=\"true\"/><d>1970-01-02</d><u xsi:nil=\"true\"/><n>0.00</n></change>\n",
        "</changes>\n",
    );
    assert_eq!(text, expected);
}

#[tokio::test]
async fn parquet_keeps_every_value() {
    let folder = tempfile::tempdir().unwrap();
    let mut archive = open(folder.path(), DestinationFormat::Parquet).await;
    let written = batch("s", 1);
    archive.apply(&mut unit(0, 7, vec![written.clone()])).await.unwrap();
    let bytes = visible(folder.path()).into_values().next().unwrap();
    let reader =
        ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(bytes)).unwrap().build().unwrap();
    let batches = reader.collect::<Result<Vec<_>, _>>().unwrap();
    assert_eq!(batches.len(), 1);
    let column = |name: &str| batches[0].column_by_name(name).unwrap();
    for (field, array) in written.schema().fields().iter().zip(&written.columns().values) {
        assert_eq!(column(&field.name), array, "{}", field.name);
    }
    let text = |name: &str, row: usize| {
        let column = column(name).as_string::<i32>();
        (!column.is_null(row)).then(|| column.value(row).to_owned())
    };
    assert_eq!(text("_tidemark_position", 2).as_deref(), Some("testlog00000-000000000007-000000002"));
    assert_eq!(text("_tidemark_op", 1).as_deref(), Some("r"));
    assert_eq!(text("_tidemark_unchanged", 0), None);
    assert_eq!(text("_tidemark_unchanged", 2).as_deref(), Some("[\"t\"]"));
    assert_eq!(text("_tidemark_exceptions", 1).as_deref(), Some("{\"d\":\"infinity\"}"));
    assert_eq!(text("_tidemark_exceptions", 2), None);
}
