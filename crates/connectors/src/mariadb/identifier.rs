//! Names of tables and columns as SQL. <https://mariadb.com/kb/en/identifier-names/>

use std::collections::HashMap;

use tidemark_engine::{Error, Result, schema::RESERVED_PREFIX};

/// How many characters a name may have.
const LONGEST: usize = 64;

/// `name` in backticks, backticks inside doubled.
///
/// Fails with [`tidemark_engine::ErrorKind::Data`] when MariaDB has no way to write it. A name is never cut: two might become one.
pub(super) fn quote(name: &str) -> Result<String> {
    let shown = name.replace('\0', "\u{2400}");
    let refused = |why: &str| {
        Err(Error::data(format!("the name `{shown}` {why}")).hint("rename it at the source, or exclude it"))
    };
    if name.is_empty() {
        return refused("is empty");
    }
    if name.chars().count() > LONGEST {
        return refused("has more than the 64 characters that MariaDB takes");
    }
    if name.ends_with(' ') {
        return refused("ends with a space, which MariaDB does not take");
    }
    if name.chars().any(|c| c == '\0' || u32::from(c) > 0xffff) {
        return refused("holds a character that MariaDB takes in no name");
    }
    Ok(format!("`{}`", name.replace('`', "``")))
}

/// Refuses a table name that MariaDB cannot write or Tidemark keeps for itself.
pub(super) fn check_table(name: &str) -> Result<()> {
    let problem = |message: String, hint: &str| Err(Error::config(message).hint(hint));
    if fold(name).starts_with(RESERVED_PREFIX) {
        let hint = "choose another with `table`: names that begin with `_tidemark_` are taken";
        return problem(format!("table `{name}` has a reserved name"), hint);
    }
    match quote(name) {
        Ok(_) => Ok(()),
        Err(error) => problem(error.message().to_owned(), "give the table another name with `table`"),
    }
}

/// Refuses columns that MariaDB would take for one another.
pub(super) fn check_columns<'a>(table: &str, names: impl Iterator<Item = &'a str>) -> Result<()> {
    let mut seen = HashMap::new();
    for name in names {
        quote(name)?;
        if let Some(other) = seen.insert(fold(name), name) {
            return Err(Error::data(format!(
                "columns `{other}` and `{name}` of table `{table}` are the same to MariaDB, which ignores case"
            ))
            .hint("rename or exclude one of them"));
        }
    }
    Ok(())
}

/// The form in which two names of columns that MariaDB takes for one another are equal.
pub(super) fn fold(name: &str) -> String {
    name.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_or_refused() {
        assert_eq!(quote("a`; DROP TABLE t; --").unwrap(), "`a``; DROP TABLE t; --`");
        assert_eq!(quote("select").unwrap(), "`select`");
        assert!(quote(&"é".repeat(64)).is_ok());
        for name in ["", "a\0b", "a ", "😀", &"a".repeat(65)] {
            assert!(quote(name).is_err(), "{name}");
        }
        assert!(check_table("_Tidemark_positions").is_err() && check_table("public.orders").is_ok());
        let error = check_columns("t", ["id", "Änd", "äND"].into_iter()).unwrap_err().to_string();
        assert_eq!(error, "columns `Änd` and `äND` of table `t` are the same to MariaDB, which ignores case");
    }
}
