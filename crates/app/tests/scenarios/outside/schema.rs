//! XML Schema, as xmllint has it.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
    sync::Arc,
};

use tidemark_engine::{
    arrow_array::{
        ArrayRef, Date32Array, Decimal128Array, Float32Array, Float64Array, RecordBatch, StringArray,
        Time64MicrosecondArray, TimestampMicrosecondArray,
    },
    codec::Format,
    contract::samples,
};

use super::output;

/// Fails unless the document is valid under the schema inside it.
pub(super) fn validate(segment: &Path) {
    let document = output(Command::new("zstd").arg("-dc").arg(segment));
    let validated = validated(&document);
    assert!(
        validated.status.success(),
        "{}: {}",
        segment.display(),
        String::from_utf8_lossy(&validated.stderr)
    );
}

fn validated(document: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let (xml, xsd) = (folder.path().join("changes.xml"), folder.path().join("changes.xsd"));
    fs::write(&xml, document).unwrap();
    let schema =
        output(Command::new("xmllint").args(["--huge", "--nonet", "--xpath", "/changes/*[1]"]).arg(&xml));
    fs::write(&xsd, schema).unwrap();
    let mut xmllint = Command::new("xmllint");
    xmllint.args(["--huge", "--nonet", "--stream", "--noout", "--schema"]).arg(xsd).arg(xml).output().unwrap()
}

fn document(record: &RecordBatch) -> String {
    let mut encoder = Format::Xml.codec().encode(record.schema()).unwrap();
    encoder.write(record).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("changes.xml.zst");
    fs::write(&file, encoder.finish().unwrap()).unwrap();
    output(Command::new("zstd").arg("-dc").arg(file))
}

#[test]
fn every_kind_and_its_extremes_are_valid() {
    let numbers = Decimal128Array::from(vec![10i128.pow(38) - 1, -1, 0]);
    let extremes: Vec<(&str, ArrayRef)> = vec![
        ("date", Arc::new(Date32Array::from(vec![i32::MIN, i32::MAX, -719_529]))),
        ("time", Arc::new(Time64MicrosecondArray::from(vec![i64::MIN, i64::MAX, 86_400_000_000]))),
        ("at", Arc::new(TimestampMicrosecondArray::from(vec![i64::MIN, i64::MAX, -62_135_596_800_000_001]))),
        (
            "zoned",
            Arc::new(TimestampMicrosecondArray::from(vec![i64::MIN, i64::MAX, 1]).with_timezone("UTC")),
        ),
        (
            "single",
            Arc::new(Float32Array::from(vec![f32::from_bits(0xFFC0_0001), f32::MIN_POSITIVE, f32::MAX])),
        ),
        ("double", Arc::new(Float64Array::from(vec![f64::from_bits(u64::MAX), 5e-324, f64::NEG_INFINITY]))),
        ("wide", Arc::new(numbers.with_precision_and_scale(38, 38).unwrap())),
        (" xml:name<'\"&>", Arc::new(StringArray::from(vec!["\0", "\u{ffff}", "]]>\r"]))),
    ];
    for record in
        [samples::everything().to_record_batch().unwrap(), RecordBatch::try_from_iter(extremes).unwrap()]
    {
        let document = document(&record);
        let said = validated(&document);
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    }
}

#[test]
fn what_is_not_of_its_type_is_not_valid() {
    let document = document(&samples::everything().to_record_batch().unwrap());
    for (sound, wrong) in [
        ("<int8>-128<", "<int8>-129<"),
        ("<uuid>1111", "<uuid>zzzz"),
        ("<date>1970-01-01<", "<date>1970-02-30<"),
        ("<bool>true<", "<bool>yes<"),
        ("<item>1<", "<item>one<"),
        ("<_tidemark_op>u<", "<_tidemark_op>updated<"),
        ("<id>-1</id>", "<id>-1</id><id>-1</id>"),
    ] {
        assert!(document.contains(sound), "{sound} is nowhere");
        assert!(!validated(&document.replace(sound, wrong)).status.success(), "{wrong} is valid");
    }
}
