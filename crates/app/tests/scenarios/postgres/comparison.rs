//! Two tables, row by row.

use tidemark_test_servers::Database;

/// Fails unless every column that `source` has of `table` holds the same, as text, in the table of `copy`.
pub(super) fn assert_equal(source: &Database<'_>, copy: &Database<'_>, table: &str) {
    let (schema, name) = table.split_once('.').unwrap();
    let columns = source.query(&format!(
        "SELECT quote_ident(attname) FROM pg_attribute
         WHERE attrelid = '{schema}.{name}'::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
         ORDER BY attnum"
    ));
    let columns: Vec<_> = columns.into_iter().flatten().flatten().collect();
    let texts: Vec<_> = columns.iter().map(|column| format!("{column}::text")).collect();
    let sql = format!("SELECT {} FROM {schema}.{name} ORDER BY {}", texts.join(", "), texts.join(", "));
    let (expected, found) = (source.query(&sql), copy.query(&sql));
    let differences: Vec<_> =
        expected.iter().zip(&found).filter(|(expected, found)| expected != found).take(3).collect();
    assert!(
        expected == found,
        "table `{table}` differs: {} rows instead of {}; the first differences: {differences:#?}",
        found.len(),
        expected.len(),
    );
}

/// The same for tables that are too large to be looked at row by row: every row's text counts.
pub(super) fn assert_equal_in_sum(source: &Database<'_>, copy: &Database<'_>, table: &str) {
    let sql = format!("SELECT count(*), sum(hashtextextended(a_row::text, 0)) FROM {table} a_row");
    assert_eq!(copy.query(&sql), source.query(&sql), "table `{table}` differs: rows, sum of hashes");
}
