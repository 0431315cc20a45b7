//! GitHub's Markdown: sections and tables.

/// How the cells of a column are aligned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    /// Text.
    Left,
    /// Figures.
    Right,
}

/// A table whose cells are Markdown already. Every row must have as many cells as `columns`.
pub(crate) fn table(columns: &[(&str, Align)], rows: &[Vec<String>]) -> String {
    let mut text = line(columns.iter().map(|(name, _)| *name));
    text += &line(columns.iter().map(|(_, align)| if *align == Align::Left { ":---" } else { "---:" }));
    for row in rows {
        assert_eq!(row.len(), columns.len(), "a row of {} cells in a table of {} columns", row.len(), columns.len());
        text += &line(row.iter().map(String::as_str));
    }
    text
}

fn line<'a>(cells: impl Iterator<Item = &'a str>) -> String {
    let cells: Vec<&str> = cells.collect();
    format!("| {} |\n", cells.join(" | "))
}

/// A section under a heading of the second level.
pub(crate) fn section(title: &str, body: &str) -> String {
    format!("\n## {title}\n\n{body}")
}
