//! Whole files of records: written so that a reader sees the old file or the new one, never half of one; read so that an error
//! names the file, the line and what is wrong there.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::records::SCHEMA;
use crate::bounded;
use crate::error::{Error, Result};

/// How temporary files are named.
pub(crate) const WRITING: &str = ".writing-";

/// Largest length of a file of records, in bytes: predictions for some million images.
const MAX_BYTES: u64 = 128 << 20;

/// Writes `bytes` to `path` in one step: through a temporary file in the same folder that reaches the disk before it takes the name, so
/// that neither a crash nor a full disk leaves half a file.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(WRITING);
    // Temporary files are readable by their owner alone unless told otherwise; results are for sharing, within the umask.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder).map_err(Error::io("create a temporary file for", path))?;
    file.write_all(bytes).map_err(Error::io("write", path))?;
    file.as_file().sync_all().map_err(Error::io("write", path))?;
    file.persist(path).map_err(|error| error.error).map_err(Error::io("write", path))?;
    sync_folder(folder);
    Ok(())
}

/// A name is on disk only once its folder is. Not every file system supports that; the files are whole either way.
pub(crate) fn sync_folder(folder: &Path) {
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
}

/// A record as indented JSON.
pub(super) fn write_json<T: Serialize>(path: &Path, record: &T) -> Result<()> {
    let mut text = serde_json::to_vec_pretty(record).map_err(|error| Error::io("write", path)(error.into()))?;
    text.push(b'\n');
    write_atomic(path, &text)
}

/// The record in `path`; `None` if there is no such file.
pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    /// Read first, because the rest may have another meaning in a newer schema.
    #[derive(Deserialize)]
    struct SchemaOnly {
        schema: u32,
    }

    let Some(text) = read_text(path)? else { return Ok(None) };
    let parse_error = |error: serde_json::Error| {
        let problem = if error.is_eof() { format!("the file is cut off: {error}") } else { error.to_string() };
        unreadable(path, Some(error.line() as u64), problem)
    };
    let head: SchemaOnly = serde_json::from_str(&text).map_err(parse_error)?;
    check_schema(path, None, head.schema)?;
    serde_json::from_str(&text).map_err(parse_error).map(Some)
}

/// The first column of every CSV file.
#[derive(Serialize)]
struct SchemaColumn {
    schema: u32,
}

/// Rows as CSV with a header, led by a `schema` column. Without rows, the header is that column alone.
pub(crate) fn csv_text<T: Serialize>(rows: &[T]) -> Vec<u8> {
    if rows.is_empty() {
        return b"schema\n".to_vec();
    }
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.serialize((SchemaColumn { schema: SCHEMA }, row)).expect("rows are flat structs, written to memory");
    }
    writer.into_inner().expect("memory takes every byte")
}

/// The rows of a CSV file that [`csv_text`] made; `None` if there is no such file.
pub(super) fn read_csv<T: DeserializeOwned>(path: &Path) -> Result<Option<Vec<T>>> {
    let Some(text) = read_csv_text(path)? else { return Ok(None) };
    parse_csv(path, text.as_bytes()).map(Some)
}

/// The rows of a CSV file's content; none of nothing.
pub(super) fn parse_csv<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<Vec<T>> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let mut reader = csv::Reader::from_reader(bytes);
    let headers = headers(path, &mut reader)?;
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| csv_error(path, &error))?;
        let line = record.position().map(csv::Position::line);
        let schema = record[0].parse().map_err(|_| unreadable(path, line, format!("schema `{}`", &record[0])))?;
        check_schema(path, line, schema)?;
        rows.push(record.deserialize(Some(&headers)).map_err(|error| row_error(path, &headers, &error))?);
    }
    Ok(rows)
}

/// The text of a CSV file that ends where it should; `None` if there is no such file.
pub(super) fn read_csv_text(path: &Path) -> Result<Option<String>> {
    let Some(text) = read_text(path)? else { return Ok(None) };
    if !text.ends_with('\n') {
        let line = text.lines().count().max(1) as u64;
        return Err(unreadable(path, Some(line), "the file is cut off: its last line does not end"));
    }
    Ok(Some(text))
}

/// The names of the columns, of which the first has to be `schema`.
pub(super) fn headers(path: &Path, reader: &mut csv::Reader<&[u8]>) -> Result<csv::StringRecord> {
    let headers = reader.headers().map_err(|error| csv_error(path, &error))?.clone();
    match headers.get(0) {
        Some("schema") => Ok(headers),
        _ => Err(unreadable(path, Some(1), "the first column should be `schema`")),
    }
}

fn read_text(path: &Path) -> Result<Option<String>> {
    // Checked before it is opened, because opening a pipe waits for a writer.
    if fs::metadata(path).is_ok_and(|about| !about.is_file()) {
        return Err(unreadable(path, None, "is not a regular file"));
    }
    let bytes = match bounded::read(path, MAX_BYTES) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("read", path)(error)),
    };
    String::from_utf8(bytes).map(Some).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
        unreadable(path, Some(line as u64 + 1), "not UTF-8 text")
    })
}

pub(super) fn check_schema(path: &Path, line: Option<u64>, schema: u32) -> Result<()> {
    if schema <= SCHEMA {
        return Ok(());
    }
    let problem = format!("schema {schema} is newer than this program's ({SCHEMA})");
    Err(Error::input(place(path, line), problem, "use a newer vitbench"))
}

pub(super) fn csv_error(path: &Path, error: &csv::Error) -> Error {
    let problem = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{len} fields where the header has {expected_len}: the file is cut off or damaged")
        }
        _ => error.to_string(),
    };
    unreadable(path, error.position().map(csv::Position::line), problem)
}

/// The csv crate counts columns; a reader looks for their names.
fn row_error(path: &Path, headers: &csv::StringRecord, error: &csv::Error) -> Error {
    let csv::ErrorKind::Deserialize { err, .. } = error.kind() else { return csv_error(path, error) };
    let column = err.field().and_then(|field| headers.get(field as usize));
    let problem = column.map_or_else(|| err.kind().to_string(), |column| format!("`{column}`: {}", err.kind()));
    unreadable(path, error.position().map(csv::Position::line), problem)
}

pub(super) fn unreadable(path: &Path, line: Option<u64>, problem: impl ToString) -> Error {
    Error::damaged(place(path, line), problem, "restore the file, or delete its run's folder and run the command again")
}

fn place(path: &Path, line: Option<u64>) -> String {
    match line {
        Some(line) if line > 0 => format!("{}:{line}", path.display()),
        _ => path.display().to_string(),
    }
}
