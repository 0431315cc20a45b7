//! What is embedded in a page: data as links, pictures, and the hash that allows its script to run.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use crate::results::text_cell;

/// A CSV file as a `data:` URI. Cells that a spreadsheet would take for formulas are marked as text.
pub(super) fn csv_uri((columns, rows): (Vec<String>, Vec<Vec<String>>)) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in std::iter::once(columns).chain(rows) {
        let cells = row.iter().map(|cell| if is_number(cell) { cell.clone() } else { text_cell(cell) });
        writer.write_record(cells).expect("rows are as long as their header, and memory takes every byte");
    }
    let bytes = writer.into_inner().expect("memory takes every byte");
    let mut uri = "data:text/csv;charset=utf-8,".to_owned();
    for byte in bytes {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b',' | b'.' | b'-' | b'_' | b'/' | b'(' | b')' | b':' => {
                uri.push(char::from(byte));
            }
            _ => uri += &format!("%{byte:02X}"),
        }
    }
    uri
}

/// A number that begins with a minus sign is not a formula.
fn is_number(cell: &str) -> bool {
    cell.parse::<f64>().is_ok()
}

/// A PNG as a `data:` URI.
pub(super) fn png_uri(png: &[u8]) -> String {
    format!("data:image/png;base64,{}", STANDARD.encode(png))
}

/// The hash by which a content security policy identifies a script.
pub(super) fn script_hash(script: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(script)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_links_hold_text_and_numbers_and_no_formula() {
        let rows = vec![vec!["=1+1".to_owned(), "-2.5".to_owned()], vec!["a \"b\", 模".to_owned(), String::new()]];
        let uri = csv_uri((vec!["model".to_owned(), "x, s".to_owned()], rows));
        assert_eq!(
            uri,
            "data:text/csv;charset=utf-8,model,%22x,%20s%22%0A%27%3D1%2B1,-2.5%0A%22a%20%22%22b%22%22,%20%E6%A8%A1%22,%0A"
        );
    }

    #[test]
    fn hashes_are_those_that_browsers_make() {
        // printf 'alert(1)' | openssl dgst -sha256 -binary | base64
        assert_eq!(script_hash("alert(1)"), "sha256-bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI=");
    }
}
