//! Values of every type, through a real server: read in both formats, written in both, and compared as the server shows them.

mod columns;
mod wire;

use bytes::BytesMut;
use proptest::{prelude::*, test_runner::TestRunner};
use tidemark_engine::{
    change::{Cell, ChangeBatch, Columns, ExceptionsBuilder, Op},
    schema::{Field, StreamName, StreamSchema},
};
use tidemark_test_servers::Postgres;
use tokio_postgres::Client;

use self::columns::COLUMNS;
use super::{Catalog, ColumnBuilder, ColumnType, Plain, Target, Written, target::Form};
use crate::postgres::identifier::literal;

/// The rows of a table as the server shows them.
type Rows = Vec<Vec<Option<String>>>;

#[test]
fn every_value_of_every_type_survives() {
    let database = Postgres::shared().database();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let client = runtime.block_on(wire::connect(&database.url()));
    runtime.block_on(client.batch_execute(&columns::setup())).unwrap();
    let mut runner =
        TestRunner::new(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() });
    let rows = proptest::collection::vec(columns::row(), 1..24);
    runner
        .run(&rows, |rows| {
            runtime.block_on(round_trip(&client, &rows));
            Ok(())
        })
        .unwrap();
}

#[test]
fn every_chosen_value_survives() {
    let database = Postgres::shared().database();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let client = wire::connect(&database.url()).await;
        client.batch_execute(&columns::setup()).await.unwrap();
        round_trip(&client, &columns::chosen()).await;
    });
}

#[test]
fn types_that_no_column_has_are_refused_by_name() {
    let database = Postgres::shared().database();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let client = wire::connect(&database.url()).await;
        let refused =
            async |oid| Catalog::default().resolve(&client, &[(oid, -1)]).await.unwrap_err().to_string();
        assert_eq!(refused(4_000_000_000).await, "the database has no type with oid 4000000000");
        assert_eq!(refused(2278).await, "no column can hold values of the type `void`");
    });
}

async fn round_trip(client: &Client, rows: &[Vec<Option<String>>]) {
    fill(client, rows).await;
    let shown = wire::show(client, "SELECT * FROM source ORDER BY id").await;
    let types = types(client, "source").await;

    let binary = read_binary(client, &types).await;
    let text = read(&types, &shown, |builder, value| builder.append_text(value));
    for (index, field) in binary.schema().fields().iter().enumerate() {
        let (from_binary, from_text) = (binary.column(index), text.column(index));
        for (row, shown) in shown.iter().enumerate() {
            let (left, right) = (from_binary.cell(row), from_text.cell(row));
            // As text, so that NaN equals itself.
            assert_eq!(format!("{left:?}"), format!("{right:?}"), "{}: {:?}", field.name, shown[index]);
        }
    }

    let targets = targets(client, &types).await;
    let declared: Vec<String> =
        targets.iter().enumerate().map(|(i, target)| format!("c{i} {}", target.declared())).collect();
    let create =
        |table| format!("DROP TABLE IF EXISTS {table}; CREATE TABLE {table} ({});", declared.join(", "));
    client.batch_execute(&(create("by_text") + &create("by_binary"))).await.unwrap();
    expect_spelling(client, &targets).await;
    write_text(client, &binary, &targets).await;
    compare(&targets, &shown, &wire::show(client, "SELECT * FROM by_text ORDER BY c0").await);
    write_binary(client, &binary, &targets, &shown, &types).await;
}

/// A column that is declared as we would is recognized by its spelling.
async fn expect_spelling(client: &Client, targets: &[Target]) {
    for (column, target) in types(client, "by_text").await.iter().zip(targets) {
        assert_eq!(column.declared, target.declared());
        let source_type = Some(column.declared.clone());
        let field = Field { source_type, ..Field::new("c", target.kind.clone()) };
        if target.kind == column.kind {
            let existing = Target::existing(&field, column).unwrap();
            assert_eq!(existing.is_binary(), target.is_binary(), "{}", column.declared);
        }
    }
}

async fn fill(client: &Client, rows: &[Vec<Option<String>>]) {
    let rows: Vec<String> = rows
        .iter()
        .enumerate()
        .map(|(id, row)| {
            let values = row.iter().map(|value| match value {
                Some(value) => literal(value),
                None => "NULL".to_owned(),
            });
            format!("({id}, {})", values.collect::<Vec<_>>().join(", "))
        })
        .collect();
    let sql = format!("TRUNCATE source; INSERT INTO source VALUES {};", rows.join(", "));
    client.batch_execute(&sql).await.unwrap();
}

async fn types(client: &Client, table: &str) -> Vec<ColumnType> {
    let sql = "SELECT atttypid, atttypmod FROM pg_attribute
                WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum";
    let rows = client.query(sql, &[&table]).await.unwrap();
    let wanted: Vec<(u32, i32)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    Catalog::default().resolve(client, &wanted).await.unwrap()
}

async fn targets(client: &Client, types: &[ColumnType]) -> Vec<Target> {
    let sql = "SELECT typname::text FROM pg_type WHERE to_regtype(quote_ident(typname)) IS NOT NULL";
    let rows = client.query(sql, &[]).await.unwrap();
    let names: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let is_available = |name: &str| names.iter().any(|known| known == name);
    fields(types).iter().map(|field| Target::of(field, &is_available)).collect()
}

fn fields(types: &[ColumnType]) -> Vec<Field> {
    types
        .iter()
        .enumerate()
        .map(|(i, column)| Field {
            source_type: Some(column.declared.clone()),
            ..Field::new(format!("c{i}"), column.kind.clone())
        })
        .collect()
}

async fn read_binary(client: &Client, types: &[ColumnType]) -> ChangeBatch {
    let names = ["id".to_owned()].into_iter().chain((0..COLUMNS.len()).map(|i| format!("v{i}")));
    let selected: Vec<String> = names.zip(types).map(|(name, column)| column.selected(&name)).collect();
    let sql =
        format!("COPY (SELECT {} FROM source ORDER BY id) TO STDOUT (FORMAT binary)", selected.join(", "));
    let rows = wire::copy_out(client, &sql, types.len()).await;
    read(types, &rows, |builder, value| builder.append_binary(value))
}

/// The batch of `rows`, value by value.
fn read<V: AsRef<T>, T: ?Sized>(
    types: &[ColumnType],
    rows: &[Vec<Option<V>>],
    append: impl Fn(&mut ColumnBuilder, &T) -> tidemark_engine::Result<Option<String>>,
) -> ChangeBatch {
    let mut builders: Vec<ColumnBuilder> = types.iter().map(ColumnBuilder::new).collect();
    let mut exceptions = ExceptionsBuilder::new();
    for row in rows {
        for (index, (value, builder)) in row.iter().zip(&mut builders).enumerate() {
            match value {
                Some(value) => {
                    let exception = append(builder, value.as_ref())
                        .unwrap_or_else(|error| panic!("{}: {error}", types[index].declared));
                    if let Some(text) = exception {
                        exceptions.add(index, &text);
                    }
                }
                None => builder.append_null(),
            }
        }
        exceptions.end_row();
    }
    assert!(builders.iter().all(|builder| builder.len() == rows.len()));
    let schema = StreamSchema::new(StreamName::new("s"), fields(types), vec![]).unwrap();
    let values = builders.iter_mut().map(|builder| builder.finish().unwrap()).collect();
    let ops = vec![Op::Read.letter(); rows.len()].into();
    let columns = Columns { exceptions: exceptions.finish(), ..Columns::new(ops, values) };
    ChangeBatch::new(schema, columns).unwrap()
}

async fn write_text(client: &Client, batch: &ChangeBatch, targets: &[Target]) {
    let mut out = BytesMut::new();
    for row in 0..batch.rows() {
        for (index, target) in targets.iter().enumerate() {
            if index > 0 {
                out.extend_from_slice(b"\t");
            }
            target.write_text(&batch.column(index).cell(row), &mut out).unwrap();
        }
        out.extend_from_slice(b"\n");
    }
    wire::copy_in(client, "COPY by_text FROM STDIN", out).await;
}

/// Writes what has a binary form, and compares that.
async fn write_binary(
    client: &Client,
    batch: &ChangeBatch,
    targets: &[Target],
    shown: &Rows,
    types: &[ColumnType],
) {
    let carried: Vec<usize> = (0..targets.len()).filter(|i| targets[*i].is_binary()).collect();
    let mut expected = shown.clone();
    for row in &mut expected {
        for (index, value) in row.iter_mut().enumerate() {
            if !carried.contains(&index) {
                *value = None;
            }
        }
    }
    let mut out = wire::copy_header();
    let plain: Vec<_> = targets
        .iter()
        .zip(&batch.columns().values)
        .map(|(target, values)| Plain::of(target, values))
        .collect();
    assert!(plain.iter().flatten().count() > 8);
    for (row, expected) in expected.iter_mut().enumerate() {
        out.extend_from_slice(&(carried.len() as i16).to_be_bytes());
        for &index in &carried {
            let cell = batch.column(index).cell(row);
            let start = out.len();
            if targets[index].write_binary(&cell, &mut out).unwrap() == Written::NeedsText {
                assert!(matches!(cell, Cell::Exception(_)), "{}", types[index].declared);
                out.extend_from_slice(&(-1_i32).to_be_bytes());
                expected[index] = None;
            }
            if let Some(plain) = &plain[index] {
                let mut straight = BytesMut::new();
                assert_eq!(plain.write(row, &mut straight).unwrap(), matches!(cell, Cell::Value(_)));
                assert!(straight.is_empty() || straight[..] == out[start..], "{}", types[index].declared);
            }
        }
    }
    out.extend_from_slice(&(-1_i16).to_be_bytes());
    let names: Vec<String> = carried.iter().map(|index| format!("c{index}")).collect();
    let sql = format!("COPY by_binary ({}) FROM STDIN (FORMAT binary)", names.join(", "));
    wire::copy_in(client, &sql, out).await;
    compare(targets, &expected, &wire::show(client, "SELECT * FROM by_binary ORDER BY c0").await);
}

/// Lists of lists are stored as JSON: of them, the server shows what it is given.
fn compare(targets: &[Target], expected: &Rows, written: &Rows) {
    assert_eq!(expected.len(), written.len());
    for (expected, written) in expected.iter().zip(written) {
        for ((expected, written), target) in expected.iter().zip(written).zip(targets) {
            if target.form == Form::Json {
                assert_eq!(written.is_some(), expected.is_some());
            } else {
                assert_eq!(written, expected, "{}", target.declared());
            }
        }
    }
}
