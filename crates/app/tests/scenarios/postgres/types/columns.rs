//! One column of every type, and values that have gone wrong somewhere before.

use super::canonical::Class::{
    self, Bool, Bytes, Date, Float32, Float64, Interval, List, Numbers, Same, Time, Timestamp, TimestampTz,
};

/// A column's type, how its values look elsewhere, and the values.
pub(super) type Column = (&'static str, Class, &'static [&'static str]);

const TEXTS: &[&str] =
    &["", "NULL", "\\N", "\\.", "a,b", "\"", "'\\", "a\tb\nc\rd", "naïve 🦀 e\u{301}", " padded "];
const NUMBERS: &[&str] = &[
    "NaN",
    "Infinity",
    "-Infinity",
    "0.000",
    "-0.00010",
    "99999999999999999999999999999999999999999999.123456789012345678901234567890",
    "1e-200",
    "1e+400",
];
const DATES: &[&str] = &[
    "infinity",
    "-infinity",
    "0044-03-15 BC",
    "4714-11-24 BC",
    "5874897-12-31",
    "1969-12-31",
    "0001-01-01",
    "12013-01-01",
];
const TIMESTAMPS: &[&str] = &[
    "infinity",
    "-infinity",
    "0044-03-15 12:00:00.5 BC",
    "4714-11-24 00:00:00 BC",
    "294276-12-31 23:59:59.999999",
    "294247-01-10 04:00:54.775807",
    "294247-01-10 04:00:54.775808",
    "1969-12-31 23:59:59.999999",
];
const INTERVALS: &[&str] = &[
    "0",
    "1 mon -1 day",
    "-1 year 2 mons -3 days 04:05:06.7",
    "-0.5 s",
    "1 day -00:00:00.000001",
    "178956970 years 7 mons",
    "-178956970 years -8 mons",
    "2562047788:00:54.775807",
];

/// Types whose binary form is read.
pub(super) const BINARY: &[Column] = &[
    ("boolean", Bool, &["t", "f"]),
    ("smallint", Same, &["-32768", "32767", "0"]),
    ("integer", Same, &["-2147483648", "2147483647"]),
    ("bigint", Same, &["-9223372036854775808", "9223372036854775807", "9007199254740993"]),
    ("oid", Same, &["0", "4294967295"]),
    ("real", Float32, &["NaN", "Infinity", "-Infinity", "-0", "1e-45", "3.4028235e38", "0.1"]),
    (
        "double precision",
        Float64,
        &["NaN", "Infinity", "-Infinity", "-0", "5e-324", "1.7976931348623157e308", "1e23"],
    ),
    ("numeric", Same, NUMBERS),
    ("numeric(12,2)", Same, &["NaN", "-9999999999.99", "0.01", "0"]),
    (
        "numeric(38,38)",
        Same,
        &["0.99999999999999999999999999999999999999", "-0.00000000000000000000000000000000000001"],
    ),
    ("numeric(5,-2)", Same, &["1234500", "0", "NaN"]),
    ("numeric(1000,500)", Same, &["1.5", "NaN"]),
    ("text", Same, TEXTS),
    ("character varying(20)", Same, TEXTS),
    ("character(20)", Same, TEXTS),
    ("name", Same, TEXTS),
    ("bytea", Bytes, &["\\x", "\\x00ff5c0a", "\\x27"]),
    ("date", Date, DATES),
    ("time", Time, &["00:00:00", "24:00:00", "23:59:59.999999", "05:00:00.5"]),
    ("timestamp", Timestamp, TIMESTAMPS),
    ("timestamptz", TimestampTz, TIMESTAMPS),
    ("timestamptz(3)", TimestampTz, &["2013-01-01 05:00:00.123+02"]),
    ("interval", Interval, INTERVALS),
    ("uuid", Same, &["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"]),
    (
        "json",
        Same,
        &["{\"a\": 1,  \"a\": [1.10, null]}", "null", "12345678901234567890.10", " [ \"\\u0000\" ] "],
    ),
    (
        "jsonb",
        Same,
        &[
            "{\"b\":1,\"a\":[1.10,null]}",
            "null",
            "{\"n\": 1234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890.5}",
            "-0.00",
            "\"\\\\ \\\" \\n 🦀\"",
        ],
    ),
    ("mood", Same, &["sad", "it's \"ok\", {so} \\ so", ""]),
    ("positive", Same, &["1", "2147483647"]),
    ("price", Same, &["12.50", "NaN"]),
    ("tags", List, &["{a,b}", "{}", "{{a},{b}}"]),
    ("citext", Same, TEXTS),
    ("boolean[]", List, &["{t,f,NULL}", "{{t},{f}}", "{}", "[2:3]={t,f}"]),
    ("bigint[]", List, &["{1,NULL,-9223372036854775808}", "{{1,2},{3,NULL}}", "[-1:0][5:5]={{1},{2}}"]),
    ("double precision[]", List, &["{NaN,-Infinity,1e23}", "{{0.1,1.5}}", "{NULL}"]),
    ("numeric[]", Numbers, &["{1.10,NaN,NULL}", "{{0.00}}"]),
    (
        "text[]",
        List,
        &[
            "{}",
            "{NULL,\"NULL\",\"\"}",
            "{\"a\\\"b\",\"c\\\\d\",\"{e}\",\"f,g\",ñ}",
            "{{a,\"b c\"},{NULL,\"\"}}",
        ],
    ),
    ("date[]", List, &["{2013-01-01,NULL}", "{2013-01-01,infinity}", "{{\"0044-03-15 BC\"}}"]),
    ("timestamp[]", List, &["{\"2013-01-01 05:00:00\"}", "{NULL,-infinity}"]),
    (
        "uuid[]",
        List,
        &["{00000000-0000-0000-0000-000000000000,NULL}", "{{ffffffff-ffff-ffff-ffff-ffffffffffff}}"],
    ),
    ("mood[]", List, &["{sad,NULL,\"it's \\\"ok\\\", {so} \\\\ so\"}", "{{sad},{sad}}"]),
    ("positive[]", List, &["{1,2}", "{{1}}"]),
];

/// Types that are known by their text alone.
pub(super) const TEXTUAL: &[Column] = &[
    ("\"char\"", Same, &["a", "", "\\377", "\\\\"]),
    ("timetz", Same, &["24:00:00+00", "05:00:00.5-15:59:59", "05:00+02"]),
    ("point3", Same, &["(1,\"a,b\",)", "(,,)", "(NaN,\"\",\"{1,\"\"a b\"\"}\")"]),
    ("point3[]", List, &["{\"(1,\\\"a,b\\\",)\",NULL}", "{}"]),
    ("int4range", Same, &["empty", "[1,5)", "(,)", "[3,)"]),
    ("numrange", Same, &["[1.10,NaN]", "(,2.00)"]),
    ("tstzrange", Same, &["[\"2013-01-01 00:00:00+00\",infinity)"]),
    ("floatrange", Same, &["[0.1,0.3)"]),
    ("int4multirange", Same, &["{}", "{[1,3),[5,)}"]),
    ("datemultirange", Same, &["{[2013-01-01,2013-02-01),[2014-01-01,infinity)}"]),
    ("int4range[]", List, &["{\"[1,5)\",empty,NULL}"]),
    ("bit(3)", Same, &["101", "000"]),
    ("bit varying", Same, &["", "1", "0101010101010101"]),
    ("bit(3)[]", List, &["{101,NULL}"]),
    ("money", Same, &["-1234.56", "0", "92233720368547758.07", "-92233720368547758.08"]),
    ("xml", Same, &["<a b=\"c\">d &amp; e</a>", "text", ""]),
    ("inet", Same, &["1.2.3.4", "1.2.3.4/8", "::1", "fe80::1/64"]),
    ("inet[]", List, &["{1.2.3.4,NULL,::1/64}", "{{1.1.1.1},{2.2.2.2}}", "[0:0]={1.1.1.1}"]),
    ("cidr", Same, &["10.0.0.0/8", "::/0"]),
    ("macaddr", Same, &["08:00:2b:01:02:03"]),
    ("macaddr8", Same, &["08:00:2b:01:02:03:04:05"]),
    ("point", Same, &["(1.1,-2)", "(NaN,Infinity)"]),
    ("line", Same, &["{1,2,3}"]),
    ("lseg", Same, &["[(1,2),(3,4)]"]),
    ("box", Same, &["(3,4),(1,2)"]),
    ("box[]", List, &["{(3,4),(1,2);(7,8),(5,6)}", "{NULL}", "{{(3,4),(1,2)}}"]),
    ("path", Same, &["((1,2),(3,4))", "[(1,2)]"]),
    ("polygon", Same, &["((1,2),(3,4),(5,6))"]),
    ("circle", Same, &["<(1,2),3>"]),
    ("tsvector", Same, &["'a':1A 'it''s':2,3", ""]),
    ("tsquery", Same, &["'a' & !'b' | 'c':*"]),
    ("pg_lsn", Same, &["16/B374D848", "0/0", "FFFFFFFF/FFFFFFFF"]),
    ("jsonpath", Same, &["$.a[*]?(@ > 1)"]),
    ("regclass", Same, &["pg_class"]),
    ("hstore", Same, &["a=>1, \"b c\"=>NULL, \"\\\"\"=>\"\\\\\"", ""]),
];

/// The types that are not built in.
pub(super) const TYPES: &str = r#"
    CREATE EXTENSION hstore; CREATE EXTENSION citext;
    CREATE TYPE mood AS ENUM ('sad', 'it''s "ok", {so} \ so', '');
    CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
    CREATE DOMAIN price AS numeric(12,2);
    CREATE DOMAIN tags AS text[];
    CREATE TYPE point3 AS (x double precision, label text, tags text[]);
    CREATE TYPE floatrange AS RANGE (subtype = float8);"#;

/// The names of the columns' values, `c0`, `c1`, …
pub(super) fn names(columns: &[Column]) -> Vec<String> {
    (0..columns.len()).map(|column| format!("c{column}")).collect()
}

/// Makes a table of `columns` and fills it with every value, and with a row of NULLs at the end.
pub(super) fn create(table: &str, columns: &[Column]) -> String {
    let declared: Vec<_> =
        columns.iter().enumerate().map(|(column, (declared, ..))| format!("c{column} {declared}")).collect();
    let longest = columns.iter().map(|(.., values)| values.len()).max().unwrap();
    let rows: Vec<_> = (0..=longest)
        .map(|row| {
            let values = columns.iter().map(|(.., values)| match values.get(row) {
                Some(value) => format!("'{}'", value.replace('\'', "''")),
                None => "NULL".to_owned(),
            });
            format!("({row}, {})", values.collect::<Vec<_>>().join(", "))
        })
        .collect();
    format!(
        "CREATE TABLE {table} (id integer PRIMARY KEY, {}); INSERT INTO {table} VALUES {};",
        declared.join(", "),
        rows.join(", ")
    )
}

/// Changes to such a table that show the stream every value twice: in a new row, and in an update of an old one.
pub(super) fn change(table: &str, columns: &[Column]) -> String {
    let names = names(columns).join(", ");
    format!(
        "INSERT INTO {table} SELECT id + 100, {names} FROM {table};
         UPDATE {table} AS t SET ({names}) = (SELECT {names} FROM {table} AS o WHERE o.id = t.id + 101)
         WHERE EXISTS (SELECT FROM {table} AS o WHERE o.id = t.id + 101);
         INSERT INTO {table} (id) VALUES (900); DELETE FROM {table} WHERE id = 900;"
    )
}
