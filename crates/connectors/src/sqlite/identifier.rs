//! Names of tables and columns as SQL.

use std::collections::HashMap;

use tidemark_engine::{Error, Result};

/// `name` in double quotes, quotes inside doubled: <https://sqlite.org/lang_keywords.html>.
///
/// Fails with [`tidemark_engine::ErrorKind::Data`] when SQLite has no way to write it.
pub(super) fn quote(name: &str) -> Result<String> {
    if name.contains('\0') {
        let shown = name.replace('\0', "\u{2400}");
        return Err(Error::data(format!(
            "the name `{shown}` holds a NUL character, which SQLite cannot write"
        ))
        .hint("rename it at the source, or exclude it"));
    }
    Ok(format!("\"{}\"", name.replace('"', "\"\"")))
}

/// Refuses a table name that SQLite or Tidemark keeps for itself.
pub(super) fn check_table(name: &str) -> Result<()> {
    let folded = fold(name);
    let reserved = ["sqlite_", tidemark_engine::schema::RESERVED_PREFIX]
        .into_iter()
        .find(|prefix| folded.starts_with(prefix));
    match reserved {
        Some(prefix) => Err(Error::config(format!("table `{name}` has a reserved name"))
            .hint(format!("choose another with `table`: names that begin with `{prefix}` are taken"))),
        None if name.is_empty() => {
            Err(Error::config("a table would have no name").hint("give `table` a name"))
        }
        None => quote(name).map(drop),
    }
}

/// Refuses columns that SQLite would take for one another.
pub(super) fn check_columns<'a>(table: &str, names: impl Iterator<Item = &'a str>) -> Result<()> {
    let mut seen = HashMap::new();
    for name in names {
        quote(name)?;
        if let Some(other) = seen.insert(fold(name), name) {
            return Err(Error::data(format!(
                "columns `{other}` and `{name}` of table `{table}` are the same to SQLite, which ignores case"
            ))
            .hint("rename or exclude one of them"));
        }
    }
    Ok(())
}

/// The form in which two names that SQLite takes for one another are equal: only ASCII letters fold.
pub(super) fn fold(name: &str) -> String {
    name.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_or_refused() {
        assert_eq!(quote("a\"; DROP TABLE t; --").unwrap(), "\"a\"\"; DROP TABLE t; --\"");
        assert!(quote("a\0b").is_err());
        assert!(check_table("SQLite_master").is_err());
        assert!(check_table("_tidemark_positions").is_err());
        assert!(check_table("").is_err());
        assert!(check_table("public.orders").is_ok());
        let error = check_columns("t", ["id", "Name", "NAME"].into_iter()).unwrap_err().to_string();
        assert_eq!(
            error,
            "columns `Name` and `NAME` of table `t` are the same to SQLite, which ignores case"
        );
        assert!(check_columns("t", ["é", "É"].into_iter()).is_ok());
    }
}
