//! One column of every type, and values for each: chosen ones that have gone wrong somewhere before, and random ones.

use proptest::{
    collection::vec,
    option,
    prelude::*,
    sample::select,
    strategy::{BoxedStrategy, Union},
};

/// A column's type and the values chosen for it.
type Column = (&'static str, &'static [&'static str]);

const TEXTS: &[&str] = &[
    "",
    "NULL",
    "null",
    "\\N",
    "\\.",
    "a,b",
    "{}",
    "\"",
    "\\",
    "'",
    "a\tb\nc\rd",
    "naïve 🦀",
    " padded ",
    "\u{feff}",
];
const DATES: &[&str] =
    &["infinity", "-infinity", "0044-03-15 BC", "4714-11-24 BC", "5874897-12-31", "1999-12-31", "0001-01-01"];
const TIMESTAMPS: &[&str] = &[
    "infinity",
    "-infinity",
    "0044-03-15 12:00:00.5 BC",
    "4714-11-24 00:00:00 BC",
    "294276-12-31 23:59:59.999999",
    "294247-01-10 04:00:54.775807",
    "294247-01-10 04:00:54.775808",
    "1969-12-31 23:59:59.999999",
    "epoch",
];
const INTERVALS: &[&str] = &[
    "0",
    "1 mon -1 day",
    "-1 year 2 mons -3 days 04:05:06.7",
    "-0.5 s",
    "1 day -00:00:00.000001",
    "178956970 years 7 mons",
    "-178956970 years -8 mons",
    "2147483647 days",
    "2562047788:00:54.775807",
    "-2562047788:00:54.775807",
];
const NUMERICS: &[&str] = &[
    "0",
    "0.000",
    "-0.00010",
    "10000",
    "99999999999999999999999999999999999999999999.123456789012345678901234567890",
    "1e-200",
    "1e+400",
    "NaN",
    "Infinity",
    "-Infinity",
];

pub(super) const COLUMNS: &[Column] = &[
    ("boolean", &["t", "f"]),
    ("smallint", &["-32768", "32767"]),
    ("integer", &["-2147483648", "2147483647"]),
    ("bigint", &["-9223372036854775808", "9223372036854775807"]),
    ("oid", &["0", "4294967295"]),
    ("real", &["NaN", "Infinity", "-Infinity", "-0", "1e-45", "3.4028235e38", "0.1"]),
    (
        "double precision",
        &["NaN", "Infinity", "-Infinity", "-0", "5e-324", "1.7976931348623157e308", "0.1", "1e23"],
    ),
    ("numeric", NUMERICS),
    ("numeric(12,2)", &["NaN", "-9999999999.99", "0.01", "0"]),
    (
        "numeric(38,38)",
        &["0.99999999999999999999999999999999999999", "-0.00000000000000000000000000000000000001"],
    ),
    (
        "numeric(38,0)",
        &["99999999999999999999999999999999999999", "NaN", "10000000000000000000000000000000000000"],
    ),
    ("numeric(5,-2)", &["1234500", "0", "NaN"]),
    ("numeric(3,5)", &["0.00999", "-0.00001"]),
    ("numeric(1000,500)", &["1.5", "NaN"]),
    ("text", TEXTS),
    ("character varying(20)", TEXTS),
    ("character(20)", TEXTS),
    ("name", TEXTS),
    ("\"char\"", &["a", "", "\\377", "\\\\"]),
    ("citext", TEXTS),
    ("bytea", &["\\x", "\\x00ff5c0a", "\\x27"]),
    ("date", DATES),
    ("time", &["00:00:00", "24:00:00", "23:59:59.999999", "05:00:00.5"]),
    ("timestamp", TIMESTAMPS),
    ("timestamptz", TIMESTAMPS),
    ("timestamptz(3)", &["2013-01-01 05:00:00.123+02"]),
    ("timetz", &["24:00:00+00", "05:00:00.5-15:59:59", "05:00+02"]),
    ("interval", INTERVALS),
    ("interval day to second(2)", &["1 day -00:00:00.01"]),
    ("uuid", &["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"]),
    ("json", &["{\"a\": 1,  \"a\": [1.10, null]}", "null", "\"\\u0000\"", "12345678901234567890.10"]),
    ("jsonb", &["{\"b\":1,\"a\":[1.10,null]}", "null", "\"\\\\ \\\" \\n 🦀\"", "1e100", "-0.00"]),
    ("mood", &["sad", "it's \"ok\", {so} \\ so", ""]),
    ("positive", &["1", "2147483647"]),
    ("price", &["12.50", "NaN"]),
    ("tags", &["{a,b}", "{}", "{{a},{b}}"]),
    ("point3", &["(1,\"a,b\",)", "(,,)", "(NaN,\"\",\"{1,\"\"a b\"\"}\")"]),
    ("point3[]", &["{\"(1,\\\"a,b\\\",)\",NULL}", "{}"]),
    ("int4range", &["empty", "[1,5)", "(,)", "[3,)"]),
    ("numrange", &["[1.10,NaN]", "(,2.00)"]),
    ("tstzrange", &["[\"2013-01-01 00:00:00+00\",infinity)"]),
    ("floatrange", &["[0.1,0.3)"]),
    ("int4multirange", &["{}", "{[1,3),[5,)}"]),
    ("datemultirange", &["{[2013-01-01,2013-02-01),[2014-01-01,infinity)}"]),
    ("int4range[]", &["{\"[1,5)\",empty,NULL}"]),
    ("bit(3)", &["101", "000"]),
    ("bit varying", &["", "1", "0101010101010101"]),
    ("bit(3)[]", &["{101,NULL}"]),
    ("money", &["-1234.56", "0", "92233720368547758.07", "-92233720368547758.08"]),
    ("xml", &["<a b=\"c\">d &amp; e</a>", "text", "<?xml version=\"1.0\"?><a/>"]),
    ("inet", &["1.2.3.4", "1.2.3.4/8", "::1", "fe80::1/64"]),
    ("inet[]", &["{1.2.3.4,NULL,::1/64}", "{{1.1.1.1},{2.2.2.2}}", "[0:0]={1.1.1.1}"]),
    ("cidr", &["10.0.0.0/8", "::/0"]),
    ("macaddr", &["08:00:2b:01:02:03"]),
    ("macaddr8", &["08:00:2b:01:02:03:04:05"]),
    ("point", &["(1.1,-2)", "(NaN,Infinity)"]),
    ("line", &["{1,2,3}"]),
    ("lseg", &["[(1,2),(3,4)]"]),
    ("box", &["(3,4),(1,2)"]),
    ("box[]", &["{(3,4),(1,2);(7,8),(5,6)}", "{NULL}", "{{(3,4),(1,2)}}"]),
    ("path", &["((1,2),(3,4))", "[(1,2)]"]),
    ("polygon", &["((1,2),(3,4),(5,6))"]),
    ("circle", &["<(1,2),3>"]),
    ("tsvector", &["'a':1A 'it''s':2,3", ""]),
    ("tsquery", &["'a' & !'b' | 'c':*"]),
    ("pg_lsn", &["16/B374D848"]),
    ("jsonpath", &["$.a[*]?(@ > 1)"]),
    ("regclass", &["pg_class"]),
    ("int2vector", &["1 2 3", ""]),
    ("hstore", &["a=>1, \"b c\"=>NULL, \"\\\"\"=>\"\\\\\"", ""]),
    ("ltree", &["a.b.c", ""]),
    ("boolean[]", &["{t,f,NULL}", "{{t},{f}}", "{}", "[2:3]={t,f}"]),
    ("bigint[]", &["{1,NULL,-9223372036854775808}", "{{1,2},{3,NULL}}", "[-1:0][5:5]={{1},{2}}"]),
    ("real[]", &["{NaN,-0,1e-45}", "{{0.1,1e15}}"]),
    ("double precision[]", &["{NaN,-Infinity,1e23}", "{{0.1,1e15,123456789}}"]),
    ("numeric[]", &["{1.10,NaN,-Infinity}", "{{0.00}}"]),
    ("numeric(12,2)[]", &["{1.10,NULL}", "{1.10,NaN,2.20}", "{{NaN}}"]),
    (
        "text[]",
        &[
            "{}",
            "{NULL,\"NULL\",\"\"}",
            "{\"a\\\"b\",\"c\\\\d\",\"{e}\",\"f,g\",\" h \",\"i\\nj\",ñ}",
            "{{a,\"b c\"},{NULL,\"\"}}",
            "[0:1]={a,\"NULL\"}",
        ],
    ),
    ("character varying(5)[]", &["{a,\"b c\"}"]),
    ("character(3)[]", &["{a,NULL}"]),
    ("citext[]", &["{A,a}"]),
    ("bytea[]", &["{\"\\\\x00ff\",NULL}", "{{\"\\\\x\"}}"]),
    ("date[]", &["{2013-01-01,NULL}", "{2013-01-01,infinity}", "{{\"0044-03-15 BC\"}}"]),
    ("time[]", &["{24:00:00,05:00:00.5}", "{{05:00:00}}"]),
    (
        "timestamp[]",
        &["{\"2013-01-01 05:00:00\"}", "{NULL,-infinity}", "{{\"294276-12-31 23:59:59.999999\"}}"],
    ),
    (
        "timestamptz[]",
        &["{\"2013-01-01 05:00:00+00\"}", "{NULL,infinity}", "{{\"0044-03-15 12:00:00.5+00 BC\"}}"],
    ),
    ("interval[]", &["{\"1 mon -1 day\",\"-0.5 s\"}"]),
    ("uuid[]", &["{00000000-0000-0000-0000-000000000000}", "{{ffffffff-ffff-ffff-ffff-ffffffffffff}}"]),
    ("json[]", &["{\"{\\\"a\\\": [1, \\\"b\\\"]}\",null}", "{{1,2}}"]),
    ("jsonb[]", &["{\"{\\\"a\\\": [1, \\\"b\\\"]}\",NULL}"]),
    ("mood[]", &["{sad,NULL,\"it's \\\"ok\\\", {so} \\\\ so\"}", "{{sad},{sad}}"]),
    ("positive[]", &["{1,2}", "{{1}}"]),
    ("tags[]", &["{\"{a,b}\",NULL}"]),
];

/// The types and the table `source`, a column `v0`, `v1`, ... for each of [`COLUMNS`].
pub(super) fn setup() -> String {
    let columns: Vec<String> =
        COLUMNS.iter().enumerate().map(|(i, (declared, _))| format!("v{i} {declared}")).collect();
    format!(
        "CREATE EXTENSION hstore; CREATE EXTENSION citext; CREATE EXTENSION ltree;
         CREATE TYPE mood AS ENUM ('sad', 'it''s \"ok\", {{so}} \\ so', '');
         CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
         CREATE DOMAIN price AS numeric(12,2);
         CREATE DOMAIN tags AS text[];
         CREATE TYPE point3 AS (x double precision, label text, tags text[]);
         CREATE TYPE floatrange AS RANGE (subtype = float8);
         CREATE TABLE source (id integer, {})",
        columns.join(", ")
    )
}

/// Every value that is chosen, in as many rows as the longest list has.
pub(super) fn chosen() -> Vec<Vec<Option<String>>> {
    let longest = COLUMNS.iter().map(|(_, values)| values.len()).max().unwrap_or(0);
    (0..=longest)
        .map(|row| {
            COLUMNS.iter().map(|(_, values)| values.get(row).map(|value| (*value).to_owned())).collect()
        })
        .collect()
}

/// A row: NULL, a chosen value or a random one in each column.
pub(super) fn row() -> impl Strategy<Value = Vec<Option<String>>> {
    let columns: Vec<_> = COLUMNS
        .iter()
        .map(|(declared, values)| {
            let chosen = select(*values).prop_map(str::to_owned).boxed();
            option::weighted(0.9, Union::new([chosen.clone(), random(declared).unwrap_or(chosen)]))
        })
        .collect();
    columns
}

fn random(declared: &str) -> Option<BoxedStrategy<String>> {
    let timestamp = || {
        (-4000_i32..200_000, 1..=12, 1..=28, 0..86_400_000_000_i64).prop_map(|(y, m, d, micros)| {
            let (year, era) = if y > 0 { (y, "") } else { (1 - y, " BC") };
            format!("{year:04}-{m:02}-{d:02} {}{era}", clock(micros))
        })
    };
    Some(match declared {
        "smallint" => any::<i16>().prop_map(|n| n.to_string()).boxed(),
        "integer" => any::<i32>().prop_map(|n| n.to_string()).boxed(),
        "bigint" => any::<i64>().prop_map(|n| n.to_string()).boxed(),
        "real" => any::<f32>().prop_map(|n| format!("{n:e}")).boxed(),
        "double precision" => any::<f64>().prop_map(|n| format!("{n:e}")).boxed(),
        "double precision[]" => vec(any::<f64>(), 0..5)
            .prop_map(|list| braced(&list.iter().map(|n| format!("{n:e}")).collect::<Vec<_>>()))
            .boxed(),
        "numeric" => {
            ("-?[0-9]{1,60}", "(\\.[0-9]{1,60})?").prop_map(|(whole, fraction)| whole + &fraction).boxed()
        }
        "numeric(12,2)" => (-999_999_999_999_i64..=999_999_999_999).prop_map(|n| format!("{n}e-2")).boxed(),
        "jsonb" => "-?[1-9][0-9]{0,99}(\\.[0-9]{1,99})?".boxed(),
        "text" | "citext" => "[^\\x00]{0,40}".boxed(),
        "json" => {
            ".{0,20}".prop_map(|text| serde_json::Value::from(text.replace('\0', "")).to_string()).boxed()
        }
        "text[]" => vec(option::of("[^\\x00]{0,8}"), 0..5).prop_map(|list| braced_texts(&list)).boxed(),
        "bytea" => vec(any::<u8>(), 0..40)
            .prop_map(|bytes| bytes.iter().fold("\\x".to_owned(), |text, byte| text + &format!("{byte:02x}")))
            .boxed(),
        "date" | "timestamp" | "timestamptz" => timestamp().boxed(),
        "time" => (0..=86_400_000_000_i64).prop_map(clock).boxed(),
        "interval" => (-9999..9999, -9999..9999, any::<i32>(), any::<i32>())
            .prop_map(|(y, m, d, us)| format!("{y} years {m} mons {d} days {us} us"))
            .boxed(),
        "bit varying" => "[01]{0,70}".boxed(),
        _ => return None,
    })
}

fn clock(micros: i64) -> String {
    let seconds = micros / 1_000_000;
    format!("{:02}:{:02}:{:02}.{:06}", seconds / 3600, seconds / 60 % 60, seconds % 60, micros % 1_000_000)
}

fn braced(elements: &[String]) -> String {
    format!("{{{}}}", elements.join(","))
}

fn braced_texts(elements: &[Option<String>]) -> String {
    let quoted = elements.iter().map(|element| match element {
        Some(text) => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
        None => "NULL".to_owned(),
    });
    braced(&quoted.collect::<Vec<_>>())
}
