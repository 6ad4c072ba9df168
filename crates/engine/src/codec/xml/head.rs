//! The beginning of a document: its XML Schema 1.0, made of the columns.
//!
//! Every value is valid under it as it stands, with any processor of XML Schema 1.0. Where a type of the specification does not hold all
//! that a column may, the type is a union: the standard one first, and beside it a pattern for the rest.

use std::{collections::BTreeSet, fmt::Write};

use super::{ITEM, names};
use crate::codec::text::{Column, Type};

/// Digits that every processor must hold (XML Schema 1.0, part 2, section 3.2.3).
const CERTAIN_DIGITS: u8 = 18;
const DATE: &str = "-[0-9]{2}-[0-9]{2}";
const TIME: &str = "[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{6})?";

/// All lines before the first change.
pub(super) fn write(columns: &[Column]) -> String {
    let mut head = String::from(concat!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n",
        "<changes xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">\n",
        "<xs:schema xmlns:xs=\"http://www.w3.org/2001/XMLSchema\">\n",
        "<xs:element name=\"changes\"><xs:complexType><xs:sequence>\n",
        "<xs:any namespace=\"http://www.w3.org/2001/XMLSchema\" processContents=\"skip\"/>\n",
        "<xs:element name=\"change\" minOccurs=\"0\" maxOccurs=\"unbounded\"><xs:complexType><xs:sequence>\n",
    ));
    let mut types = BTreeSet::new();
    for column in columns {
        element(column, &names::element(&column.name), "minOccurs=\"0\"", &mut types, &mut head);
    }
    head.push_str(
        "</xs:sequence></xs:complexType></xs:element>\n</xs:sequence></xs:complexType></xs:element>\n",
    );
    for own in types {
        head.push_str(&own);
        head.push('\n');
    }
    head.push_str("</xs:schema>\n");
    head
}

/// Appends the declaration of an element, and adds the types of our own that it needs.
fn element(column: &Column, name: &str, occurs: &str, types: &mut BTreeSet<String>, out: &mut String) {
    let nillable = if column.nullable { " nillable=\"true\"" } else { "" };
    // Writing to a `String` cannot fail.
    let _ = write!(out, "<xs:element name=\"{name}\" {occurs}{nillable}");
    match &column.holds {
        Type::List(item) => {
            out.push_str("><xs:complexType><xs:sequence>\n");
            element(item, ITEM, "minOccurs=\"0\" maxOccurs=\"unbounded\"", types, out);
            out.push_str("</xs:sequence></xs:complexType></xs:element>\n");
        }
        Type::Struct(fields) => {
            out.push_str("><xs:complexType><xs:sequence>\n");
            for field in fields {
                element(field, &names::element(&field.name), "minOccurs=\"0\"", types, out);
            }
            out.push_str("</xs:sequence></xs:complexType></xs:element>\n");
        }
        plain => {
            let (name, own) = simple(plain);
            types.extend(own);
            let _ = writeln!(out, " type=\"{name}\"/>");
        }
    }
}

/// The name of a type, and the types of our own that it takes.
fn simple(holds: &Type) -> (String, Vec<String>) {
    let standard = |name: &str| (format!("xs:{name}"), Vec::new());
    match holds {
        Type::Bool => standard("boolean"),
        Type::Int8 => standard("byte"),
        Type::Int16 => standard("short"),
        Type::Int32 => standard("int"),
        Type::Int64 => standard("long"),
        Type::UInt8 => standard("unsignedByte"),
        Type::UInt16 => standard("unsignedShort"),
        Type::UInt32 => standard("unsignedInt"),
        Type::UInt64 => standard("unsignedLong"),
        Type::Float32 => beside("float", "xs:float", "NaN\\(0x[0-9a-f]{8}\\)"),
        Type::Float64 => beside("double", "xs:double", "NaN\\(0x[0-9a-f]{16}\\)"),
        Type::Decimal { precision, scale } if *precision <= CERTAIN_DIGITS => {
            let name = format!("decimal-{precision}-{scale}");
            let facets =
                format!("<xs:totalDigits value=\"{precision}\"/><xs:fractionDigits value=\"{scale}\"/>");
            let own = restriction(&name, "xs:decimal", &facets);
            (name, vec![own])
        }
        Type::Decimal { scale, .. } => {
            let fraction = if *scale > 0 { format!("\\.[0-9]{{{scale}}}") } else { String::new() };
            beside(&format!("decimal-38-{scale}"), "xs:decimal", &format!("-?[0-9]+{fraction}"))
        }
        Type::Bytes => standard("base64Binary"),
        Type::Date => calendar("date", "xs:date", ""),
        Type::Timestamp => calendar("timestamp", "xs:dateTime", &format!("T{TIME}")),
        Type::TimestampTz => calendar("timestamptz", "xs:dateTime", &format!("T{TIME}Z")),
        Type::Time => {
            let of_day = restriction("time-of-day", "xs:time", &pattern(TIME));
            let (name, mut own) = beside("time", "time-of-day", &format!("-?[0-9]*{TIME}"));
            own.push(of_day);
            (name, own)
        }
        Type::Uuid => {
            let digits = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";
            ("uuid".into(), vec![restriction("uuid", "xs:string", &pattern(digits))])
        }
        Type::Op => ("op".into(), vec![restriction("op", "xs:string", &pattern("[a-z]"))]),
        Type::Text | Type::List(_) | Type::Struct(_) => standard("string"),
    }
}

/// Years from 0001 to 9999 are the standard's; others it writes in another way, or, before year 1, counts in another way.
fn calendar(name: &str, standard: &str, time: &str) -> (String, Vec<String>) {
    let near = format!("{name}-0001-9999");
    let own = restriction(&near, standard, &pattern(&format!("[0-9]{{4}}{DATE}{time}")));
    let (name, mut types) = beside(name, &near, &format!("([+\\-][0-9]{{4,7}}|0000){DATE}{time}"));
    types.push(own);
    (name, types)
}

/// A type that is `first`, or text of a pattern.
fn beside(name: &str, first: &str, rest: &str) -> (String, Vec<String>) {
    let other = format!("{name}-otherwise");
    let union =
        format!("<xs:simpleType name=\"{name}\"><xs:union memberTypes=\"{first} {other}\"/></xs:simpleType>");
    (name.to_owned(), vec![union, restriction(&other, "xs:string", &pattern(rest))])
}

fn restriction(name: &str, base: &str, facets: &str) -> String {
    format!(
        "<xs:simpleType name=\"{name}\"><xs:restriction base=\"{base}\">{facets}</xs:restriction></xs:simpleType>"
    )
}

fn pattern(pattern: &str) -> String {
    format!("<xs:pattern value=\"{pattern}\"/>")
}
