//! Whether a database can be written to, found out without changing it.

use std::{fs, io, path::Path};

use rusqlite::{Connection, OpenFlags};
use tidemark_engine::Error;

use super::{
    ledger,
    session::{BUSY_TIMEOUT, check_header},
    table::check_mode,
};
use crate::{config::Writing, sqlite::failure::Failure};

pub(super) fn check(file: &Path, writing: &Writing) -> Vec<Error> {
    let shown = file.display();
    match fs::metadata(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            check_folder(file).err().into_iter().collect()
        }
        Err(error) => vec![unreachable(file, error)],
        Ok(metadata) if !metadata.is_file() => {
            vec![Error::config(format!("`{shown}` is not a file")).hint("name a file with `path`")]
        }
        Ok(_) => {
            let writable = fs::OpenOptions::new().append(true).open(file).map(drop);
            let mut errors =
                writable.err().map(|error| unreachable(file, error)).into_iter().collect::<Vec<_>>();
            if let Err(failure) = check_database(file, writing) {
                errors.push(failure.explain(file));
            }
            errors
        }
    }
}

/// The nearest folder above a file that is still to be made must be one that can be written to.
fn check_folder(file: &Path) -> Result<(), Error> {
    let above =
        file.ancestors().skip(1).map(|path| if path.as_os_str().is_empty() { Path::new(".") } else { path });
    for folder in above {
        match fs::metadata(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(unreachable(folder, error)),
            Ok(metadata) if !metadata.is_dir() => {
                return Err(Error::config(format!("`{}` is not a folder", folder.display()))
                    .hint("name another file with `path`"));
            }
            Ok(metadata) if metadata.permissions().readonly() => {
                return Err(Error::denied(format!(
                    "the folder `{}` may not be written to",
                    folder.display()
                ))
                .hint("grant write access to it"));
            }
            Ok(_) => return Ok(()),
        }
    }
    Ok(())
}

fn check_database(file: &Path, writing: &Writing) -> Result<(), Failure> {
    check_header(file)?;
    let connection = Connection::open_with_flags(
        file,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    let sql = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = '_tidemark_tables')";
    if !connection.query_row(sql, [], |row| row.get::<_, bool>(0))? {
        return Ok(());
    }
    let has_mode = ledger::has_column(&connection, "_tidemark_tables", "mode")?;
    let mode = if has_mode { "mode" } else { "NULL" };
    // An earlier version knew no other modes than these two.
    let sql = format!(
        "SELECT t.name, coalesce({mode}, iif(EXISTS (
             SELECT 1 FROM pragma_table_info(t.name) AS c WHERE c.name = '_tidemark_position'), 'append', 'mirror'))
         FROM _tidemark_tables AS t WHERE t.destination = ?1"
    );
    let mut statement = connection.prepare(&sql)?;
    let mut tables = statement.query([&writing.destination])?;
    while let Some(row) = tables.next()? {
        let (name, kept): (String, String) = (row.get(0)?, row.get(1)?);
        check_mode(&name, &kept, writing.mode)?;
    }
    Ok(())
}

fn unreachable(path: &Path, error: io::Error) -> Error {
    let message = format!("cannot write to `{}`", path.display());
    let denied = matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem);
    let (error, hint) = match denied {
        true => (Error::denied(message).source(error), "grant write access to it"),
        false => (Error::unavailable(message).source(error), "check that its disk is there and healthy"),
    };
    error.hint(hint)
}
