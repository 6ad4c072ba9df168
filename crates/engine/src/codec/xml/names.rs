//! Names of columns as names of elements.
//!
//! As SQL/XML has it (ISO/IEC 9075-14, "Mapping SQL identifiers to XML names", fully escaped): a character that a name cannot have is
//! `_xHHHH_`, or `_xHHHHHH_` beyond U+FFFF; so is an underscore before an `x`. Letters are those that every edition of XML 1.0 allows.
//! Names that begin like `xml` belong to others: their `x` is escaped. No name at all is `_x_`.

use std::fmt::Write;

/// The name of the element of the column `name`. No two names have the same.
pub fn element(name: &str) -> String {
    if name.is_empty() {
        return "_x_".into();
    }
    let mut element = String::with_capacity(name.len());
    let is_reserved = name.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("xml"));
    for (at, character) in name.char_indices() {
        let is_plain = match character {
            '_' => !name[at + 1..].starts_with('x'),
            'x' | 'X' if at == 0 => !is_reserved,
            '0'..='9' | '-' | '.' => at > 0,
            _ => is_letter(character),
        };
        // Writing to a `String` cannot fail.
        let _ = match u32::from(character) {
            _ if is_plain => element.write_char(character),
            code @ 0..=0xFFFF => write!(element, "_x{code:04X}_"),
            code => write!(element, "_x{code:06X}_"),
        };
    }
    element
}

/// Letters that every edition allows at the beginning of a name.
fn is_letter(character: char) -> bool {
    matches!(character,
        'A'..='Z' | 'a'..='z'
        // Latin
        | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{131}' | '\u{134}'..='\u{13E}'
        // Greek, Cyrillic
        | '\u{38E}'..='\u{3A1}' | '\u{3A3}'..='\u{3CE}'
        | '\u{401}'..='\u{40C}' | '\u{40E}'..='\u{44F}' | '\u{451}'..='\u{45C}'
        // Hebrew, Arabic
        | '\u{5D0}'..='\u{5EA}' | '\u{621}'..='\u{63A}' | '\u{641}'..='\u{64A}'
        // Hiragana, Katakana, Han, Hangul
        | '\u{3041}'..='\u{3094}' | '\u{30A1}'..='\u{30FA}' | '\u{4E00}'..='\u{9FA5}' | '\u{AC00}'..='\u{D7A3}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_sound() {
        for (name, expected) in [
            ("id", "id"),
            ("_tidemark_op", "_tidemark_op"),
            ("Größe 数", "Größe_x0020_数"),
            ("1st", "_x0031_st"),
            ("a:b<c", "a_x003A_b_x003C_c"),
            ("XmlDoc", "_x0058_mlDoc"),
            ("a_x0020_b", "a_x005F_x0020_b"),
            ("\u{1F30A}", "_x01F30A_"),
            ("", "_x_"),
            ("_x_", "_x005F_x_"),
        ] {
            assert_eq!(element(name), expected);
        }
    }

    proptest! {
        #[test]
        fn names_stay_apart(a in "(_|x|0|5|F|\\PC){0,9}", b in "(_|x|0|5|F|\\PC){0,9}") {
            prop_assert_eq!(a == b, element(&a) == element(&b));
        }
    }
}
