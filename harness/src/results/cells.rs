//! Free text in CSV files. A spreadsheet recognises a formula by its first character, and a formula can act outside the file. A
//! leading quote keeps the cell text.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serializer};

/// The text as a cell.
pub fn text_cell(text: &str) -> String {
    if begins_formula(text) { format!("'{text}") } else { text.to_owned() }
}

/// The characters that start a formula in a spreadsheet, and those that spreadsheets skip before them.
fn begins_formula(text: &str) -> bool {
    matches!(text.chars().next(), Some('=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠' | '\t' | '\r' | '\n'))
}

/// The text of a cell that [`text_cell`] made.
pub(crate) fn cell_text(cell: &str) -> &str {
    cell.strip_prefix('\'').filter(|text| begins_formula(text)).unwrap_or(cell)
}

/// For `#[serde(with)]` of a record's text.
pub(super) fn serialize<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&text_cell(text))
}

/// Its counterpart.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let cell: Cow<'_, str> = Cow::deserialize(deserializer)?;
    Ok(cell_text(&cell).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_text_and_come_back() {
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "＝1", "cat.jpg", "'quoted'", "", "a=b"] {
            let cell = text_cell(text);
            assert!(!begins_formula(&cell), "{cell}");
            assert_eq!(cell_text(&cell), text);
        }
        assert_eq!((text_cell("=1").as_str(), text_cell("cat").as_str()), ("'=1", "cat"));
    }
}
