//! `--set key=value`: changes a config's text, so that errors still point at lines.

use toml_edit::{DocumentMut, Item, Key, Table};

use crate::error::{Error, Result};

/// Returns `text` with every assignment made, in order. A value is TOML; if it is not valid TOML, it is a string.
pub(super) fn apply(text: &str, place: &str, assignments: &[String]) -> Result<String> {
    if assignments.is_empty() {
        return Ok(text.to_owned());
    }
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| {
        Error::input(place, format!("not valid TOML:\n{error}"), "correct the marked line")
    })?;
    for assignment in assignments {
        set(&mut document, assignment)?;
    }
    Ok(document.to_string())
}

fn set(document: &mut DocumentMut, assignment: &str) -> Result<()> {
    let wrong = |problem: String| {
        Error::input(
            format!("--set {assignment}"),
            problem,
            "write `--set table.key=value`, for instance `--set train.epochs=3` or `--set seeds=[0,1]`",
        )
    };
    let (path, value) = assignment.split_once('=').ok_or_else(|| wrong("has no `=`".into()))?;
    let value = value.trim();
    let value: toml_edit::Value = value.parse().unwrap_or_else(|_| value.into());
    // Quoted where a key has dots of its own: `sweep."train.lr"`.
    let keys =
        Key::parse(path.trim()).map_err(|error| wrong(format!("`{path}` is not a valid key: {}", error.message())))?;
    let keys: Vec<&str> = keys.iter().map(Key::get).collect();
    let (last, parents) = keys.split_last().expect("split yields at least one part");
    let mut item: &mut Item = document.as_item_mut();
    for key in parents {
        item = descend(item, key).ok_or_else(|| wrong(format!("no such key: `{key}`")))?;
    }
    if let Some(array) = item.as_array_of_tables_mut() {
        return Err(wrong(format!("is a list of {}; select an entry by its number, from 0", array.len())));
    }
    let table = item.as_table_like_mut().ok_or_else(|| wrong(format!("`{last}` is not inside a table")))?;
    table.insert(last, Item::Value(value));
    Ok(())
}

/// One step along a key: into a table, which is created if missing, or to an array's entry by its number.
fn descend<'a>(item: &'a mut Item, key: &str) -> Option<&'a mut Item> {
    if let Some(array) = item.as_array_of_tables() {
        let index: usize = key.parse().ok().filter(|index| *index < array.len())?;
        return item.get_mut(index);
    }
    let table = item.as_table_like_mut()?;
    if !table.contains_key(key) {
        table.insert(key, Item::Table(Table::new()));
    }
    table.get_mut(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(text: &str, assignments: &[&str]) -> Result<String> {
        apply(text, "test", &assignments.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn replaces_adds_and_indexes() {
        let text = "[train]\nepochs = 8 # many\n\n[[model]]\ndepth = 4\n\n[[model]]\ndepth = 6\n";
        let edited = edited(text, &["train.epochs=3", "data.dataset=shapes", "model.1.depth=12"]).unwrap();
        let table: toml::Table = edited.parse().unwrap();
        assert_eq!(table["train"]["epochs"].as_integer(), Some(3));
        assert_eq!(table["data"]["dataset"].as_str(), Some("shapes"));
        assert_eq!(table["model"][0]["depth"].as_integer(), Some(4));
        assert_eq!(table["model"][1]["depth"].as_integer(), Some(12));
    }

    #[test]
    fn a_quoted_key_may_have_dots() {
        let table: toml::Table = edited("", &["sweep.\"train.lr\"=[0.1, 0.2]"]).unwrap().parse().unwrap();
        assert_eq!(table["sweep"]["train.lr"].as_array().map(Vec::len), Some(2));
    }

    #[test]
    fn says_what_is_wrong_with_an_assignment() {
        for (assignment, problem) in [
            ("epochs", "has no `=`"),
            ("train..epochs=1", "`train..epochs` is not a valid key"),
            ("sweep.\"train.lr=1", "is not a valid key"),
            ("model.7.depth=1", "no such key: `7`"),
            ("model.depth=1", "is a list of 1; select an entry"),
            ("train.epochs.x=1", "is not inside a table"),
        ] {
            let error = edited("[train]\nepochs = 1\n[[model]]\n", &[assignment]).unwrap_err().to_string();
            assert!(error.contains(problem), "{assignment}: {error}");
        }
    }
}
