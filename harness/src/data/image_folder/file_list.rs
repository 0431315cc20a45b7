//! A list of files in place of a folder's layout: a CSV file that says which images are used, with their classes and splits.
//!
//! Its columns are those of a run's `files.csv`: `path`, `class`, `split`, and `blake3`, which may be empty or absent. Other columns are
//! ignored.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use super::listing::{Listing, check_link};
use super::{SHOWN, Splits};
use crate::bounded;
use crate::data::images::Images;
use crate::error::{Error, Result};
use crate::results::cell_text;

/// Largest length of a list, in bytes: a million images.
const MAX_BYTES: u64 = 128 << 20;

const SPLITS: [&str; 3] = ["train", "val", "test"];

/// A row: what it says of a file.
struct Row {
    path: String,
    class: String,
    /// Index in [`SPLITS`].
    split: usize,
    blake3: Option<blake3::Hash>,
}

/// The splits that a list describes, in the order of its rows. The files are in the folder `root`.
///
/// # Errors
/// If the list cannot be read or makes no dataset, or if a file that it names is not in the folder.
pub(super) fn splits(root: &Path, list: &Path, with_val: bool) -> Result<Splits> {
    let rows = read(list)?;
    let classes: BTreeSet<&str> = rows.iter().map(|row| row.class.as_str()).collect();
    let classes: Vec<String> = classes.into_iter().map(str::to_owned).collect();
    check_contents(list, &rows, &classes)?;
    check_files(root, list, &rows)?;
    let mut listings: [Listing; 3] = Default::default();
    let mut digests = HashMap::new();
    for Row { path, class, split, blake3 } in rows {
        let label = classes.binary_search(&class).expect("collected from the same rows");
        listings[split].paths.push(root.join(&path));
        listings[split].labels.push(label as u32);
        digests.extend(blake3.map(|digest| (path, digest)));
    }
    let [train, val, test] = listings;
    let val = Some(val).filter(|val| with_val && !val.paths.is_empty());
    Ok(Splits { classes, train, val, test, digests })
}

/// Compares images with the digests that a list gives for their files.
///
/// # Errors
/// If a file's content is not the one that was listed.
pub(super) fn check_digests(images: &Images, listed: &HashMap<String, blake3::Hash>) -> Result<()> {
    let differs = |(name, digest): &(&String, &blake3::Hash)| listed.get(*name).is_some_and(|listed| listed != *digest);
    let changed: Vec<&str> =
        images.names().iter().zip(images.digests()).filter(differs).map(|(name, _)| name.as_str()).collect();
    if changed.is_empty() {
        return Ok(());
    }
    let problem = format!("the content of {} files differs from its digest there: {}", changed.len(), first(&changed));
    let help = "restore these files, or remove the list's column `blake3` to use them as they are";
    Err(Error::damaged("data.files", problem, help))
}

fn read(list: &Path) -> Result<Vec<Row>> {
    let help = "name a CSV file with the columns path, class and split, such as a run's files.csv";
    if !list.is_file() {
        return Err(Error::input("data.files", format!("there is no file `{}`", list.display()), help));
    }
    let bytes = bounded::read(list, MAX_BYTES).map_err(Error::io("read", list))?;
    // Spreadsheets begin a file with a byte order mark.
    let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes);
    let mut reader = csv::Reader::from_reader(text);
    let wrong = |error: csv::Error| match error.position() {
        Some(position) => Error::input(place(list, position.line()), error, help),
        None => Error::input(list.display(), error, help),
    };
    let headers = reader.headers().map_err(wrong)?.clone();
    let column = |name: &str| headers.iter().position(|header| header.trim() == name);
    let needed =
        |name: &str| column(name).ok_or_else(|| Error::input(place(list, 1), format!("has no column `{name}`"), help));
    let (path, class, split) = (needed("path")?, needed("class")?, needed("split")?);
    let blake3 = column("blake3");
    let mut seen = HashSet::new();
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(wrong)?;
        let line = record.position().map_or(0, csv::Position::line);
        let row = row(&record[path], &record[class], &record[split], blake3.map_or("", |column| &record[column]))
            .map_err(|(problem, help)| Error::input(place(list, line), problem, help))?;
        if !seen.insert(row.path.clone()) {
            let problem = format!("lists `{}` again", row.path);
            return Err(Error::input(place(list, line), problem, "list every file once, in one split"));
        }
        rows.push(row);
    }
    Ok(rows)
}

fn place(list: &Path, line: u64) -> String {
    format!("{}:{line}", list.display())
}

/// A row from its cells, or what is wrong with it and what would be right.
fn row(path: &str, class: &str, split: &str, blake3: &str) -> Result<Row, (String, &'static str)> {
    let (path, class) = (cell_text(path), cell_text(class));
    let inside = |component: Component<'_>| matches!(component, Component::Normal(_));
    if path.is_empty() || !Path::new(path).components().all(inside) {
        return Err((
            format!("path: `{path}` does not lead into the folder"),
            "give a path relative to the folder that data.path names, without `..`",
        ));
    }
    if class.is_empty() {
        return Err(("class: is empty".to_owned(), "give every file a class"));
    }
    let index = SPLITS.iter().position(|known| *known == split);
    let index = index.ok_or_else(|| (format!("split: is `{split}`"), "write train, val or test"))?;
    let digest = Some(blake3).filter(|digest| !digest.is_empty()).map(blake3::Hash::from_str).transpose();
    let blake3 = digest.map_err(|_| {
        (format!("blake3: `{blake3}` is not a digest"), "give 64 hexadecimal digits, as b3sum does, or nothing")
    })?;
    Ok(Row { path: path.to_owned(), class: class.to_owned(), split: index, blake3 })
}

/// Refuses a list that makes no dataset.
fn check_contents(list: &Path, rows: &[Row], classes: &[String]) -> Result<()> {
    if classes.len() < 2 {
        let problem = format!("lists {} class(es), expected at least 2", classes.len());
        return Err(Error::input(list.display(), problem, "list files of every class"));
    }
    let trained: HashSet<&str> = rows.iter().filter(|row| row.split == 0).map(|row| row.class.as_str()).collect();
    if let Some(class) = classes.iter().find(|class| !trained.contains(class.as_str())) {
        let problem = format!("lists no training image of class `{class}`");
        return Err(Error::input(list.display(), problem, "give every class a file in the split `train`"));
    }
    if !rows.iter().any(|row| row.split == 2) {
        return Err(Error::input(list.display(), "lists no test image", "give some files the split `test`"));
    }
    Ok(())
}

/// Refuses a list that names files outside `root`, or files that are not there.
fn check_files(root: &Path, list: &Path, rows: &[Row]) -> Result<()> {
    let mut checked: HashSet<PathBuf> = HashSet::new();
    let mut missing = Vec::new();
    for row in rows {
        let path = root.join(&row.path);
        for folder in path.ancestors().skip(1).take_while(|folder| *folder != root) {
            if !checked.insert(folder.to_owned()) {
                break;
            }
            check_link(root, folder)?;
        }
        if !path.is_file() {
            missing.push(row.path.as_str());
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let problem =
        format!("{} of {} files are not in `{}`: {}", missing.len(), rows.len(), root.display(), first(&missing));
    Err(Error::input(list.display(), problem, "set data.path to the folder that the list's paths start from"))
}

/// The first of many names.
fn first(names: &[&str]) -> String {
    let more = if names.len() > SHOWN { ", ..." } else { "" };
    format!("{}{more}", names[..names.len().min(SHOWN)].join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answer to a list beside a folder with `cat/0.png`, `cat/1.png`, `dog/0.png` and `dog/1.png`.
    fn answer(text: &str) -> Result<Splits, String> {
        let dir = tempfile::tempdir().unwrap();
        for file in ["cat/0.png", "cat/1.png", "dog/0.png", "dog/1.png"] {
            std::fs::create_dir_all(dir.path().join(file).parent().unwrap()).unwrap();
            std::fs::write(dir.path().join(file), file).unwrap();
        }
        let list = dir.path().join("list.csv");
        std::fs::write(&list, text).unwrap();
        splits(dir.path(), &list, true).map_err(|error| error.to_string().replace(dir.path().to_str().unwrap(), "DIR"))
    }

    #[test]
    fn the_order_of_the_rows_is_the_order_of_the_images() {
        let text = "\u{feff}split,note,class,path\ntrain,x,pet dog,dog/1.png\ntest,,pet dog,dog/0.png\ntrain,,cat,cat/1.png\nval,,cat,cat/0.png\n";
        let splits = answer(text).unwrap();
        assert_eq!(splits.classes, ["cat", "pet dog"]);
        let names = |listing: &Listing| -> Vec<String> {
            listing.paths.iter().map(|path| path.to_string_lossy().rsplit_once("/").unwrap().1.to_owned()).collect()
        };
        assert_eq!((names(&splits.train), splits.train.labels), (vec!["1.png".to_owned(); 2], vec![1, 0]));
        assert_eq!(splits.val.unwrap().labels, [0]);
        assert_eq!(splits.test.labels, [1]);
        assert!(splits.digests.is_empty());
    }

    #[test]
    fn a_list_that_makes_no_dataset_is_refused() {
        let rows = "train,cat,cat/0.png\ntrain,dog,dog/0.png\ntest,cat,cat/1.png\n";
        assert!(answer(&format!("split,class,path\n{rows}")).is_ok());
        for (text, start) in [
            ("", "DIR/list.csv:1: has no column `path`"),
            ("path,class\n", "DIR/list.csv:1: has no column `split`"),
            (&format!("split,class,path\n{rows}tset,cat,cat/1.png\n"), "DIR/list.csv:5: split: is `tset`"),
            (&format!("split,class,path\n{rows}test,cat,cat/1.png\n"), "DIR/list.csv:5: lists `cat/1.png` again"),
            (&format!("split,class,path\n{rows}test,cat,../1.png\n"), "DIR/list.csv:5: path: `../1.png` does not lead"),
            (&format!("split,class,path\n{rows}test,cat,/1.png\n"), "DIR/list.csv:5: path: `/1.png` does not lead"),
            (&format!("split,class,path\n{rows}test,cat\n"), "DIR/list.csv:5: "),
            (&format!("split,class,path\n{rows}test,,dog/1.png\n"), "DIR/list.csv:5: class: is empty"),
            (
                &format!("split,class,path\n{rows}test,eel,dog/1.png\n"),
                "DIR/list.csv: lists no training image of class",
            ),
            (
                &format!("split,class,path\n{rows}test,cat,cat/2.png\n"),
                "DIR/list.csv: 1 of 4 files are not in `DIR`: cat/2.png\n",
            ),
            ("split,class,path\ntrain,cat,cat/0.png\n", "DIR/list.csv: lists 1 class(es)"),
            ("split,class,path\ntrain,cat,cat/0.png\ntrain,dog,dog/0.png\n", "DIR/list.csv: lists no test image"),
            ("split,class,path,blake3\ntrain,cat,cat/0.png,abc\n", "DIR/list.csv:2: blake3: `abc` is not a digest"),
        ] {
            let error = answer(text).map(|_| "taken").unwrap_err();
            assert!(error.starts_with(start), "{text}: {error}");
        }
    }
}
