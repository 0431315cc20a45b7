//! Keys that have another name today. What a user writes must have the new name; what an earlier version of the program wrote into
//! a results folder may have the old one.

use toml::{Table, Value};

use crate::error::{Error, Result};

/// Old and new name of a key.
const RENAMED: [(&str, &str); 2] = [("projected_len", "k"), ("published", "reference")];

/// The name that a key has today.
pub(super) fn current(key: &str) -> &str {
    RENAMED.iter().find(|(old, _)| *old == key).map_or(key, |(_, new)| new)
}

/// Errs at the first key of a config that has its old name. Axes of a sweep are keys as well: `"model.*.projected_len"`.
pub(super) fn refuse_old_names(table: &Table, place: &str) -> Result<()> {
    refuse(table, "", place)
}

fn refuse(table: &Table, path: &str, place: &str) -> Result<()> {
    for (key, value) in table {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        let last = key.rsplit('.').next().unwrap_or(key);
        if current(last) != last {
            let problem = format!("`{last}` has a new name");
            return Err(Error::input(format!("{place}: {path}"), problem, format!("write `{}`", current(last))));
        }
        match value {
            Value::Table(inner) => refuse(inner, &path, place)?,
            Value::Array(values) => {
                for (index, value) in values.iter().enumerate() {
                    if let Value::Table(inner) = value {
                        refuse(inner, &format!("{path}.{index}"), place)?;
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// A model's table with the names that keys had when runs were first identified. Runs are named by a digest of it, so that renaming
/// a key gives no finished run another name.
pub(crate) fn with_first_names(mut model: Table) -> Table {
    if let Some(k) = model.remove("k") {
        model.insert("projected_len".into(), k);
    }
    model
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{load, load_timing, parse};

    #[test]
    fn old_names_are_refused_wherever_they_stand() {
        for (config, message) in [
            ("[[model]]\nprojected_len = 3", "c.toml: model.0.projected_len: `projected_len` has a new name"),
            (
                "[sweep]\n'model.*.projected_len' = [3]",
                "c.toml: sweep.model.*.projected_len: `projected_len` has a new name",
            ),
            ("[sweep]\nexclude = [{ 'model.a.projected_len' = 3 }]", "`projected_len` has a new name"),
            ("[[published]]\nname = 'x'", "c.toml: published: `published` has a new name"),
        ] {
            let error = refuse_old_names(&config.parse().unwrap(), "c.toml").unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
        assert!(refuse_old_names(&"[[model]]\nk = 3".parse().unwrap(), "c.toml").is_ok());
    }

    #[test]
    fn what_the_program_wrote_is_read_by_either_name() {
        let recorded =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../results/published/linformer-cats-vs-dogs/plan.toml");
        let text = std::fs::read_to_string(&recorded).unwrap();
        assert!(text.contains("projected_len") && text.contains("[[published]]"), "the record is of the first version");
        let plan = load(&recorded, &[]).unwrap();
        assert!(load_timing(&recorded, &[]).is_ok());
        let renamed = text.replace("projected_len", "k").replace("[[published]]", "[[reference]]");
        assert_eq!(plan.kept(), parse(&renamed, "new.toml", &[]).unwrap().kept());

        // The same text is a user's where no runs stand beside it.
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan.toml");
        std::fs::write(&path, text).unwrap();
        assert!(load(&path, &[]).unwrap_err().to_string().contains("has a new name"));
    }

    #[test]
    fn a_recorded_sweep_has_the_models_that_it_had() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan.toml");
        std::fs::create_dir(folder.path().join("runs")).unwrap();
        let sweep = "[data]\ndataset = 'shapes'\n[train]\nepochs = 1\nbatch_size = 8\nlr = 0.1\noptimizer.kind = 'sgd'\n[[model]]\n\
                     architecture = 'linformer'\npatch_size = 8\nd_model = 24\ndepth = 1\nheads = 3\nd_ff = 24\nprojected_len = 5\n\
                     [sweep]\n'model.*.projected_len' = [3, 4]\n";
        std::fs::write(&path, sweep).unwrap();
        let names = load(&path, &[]).unwrap().model_names();
        assert_eq!(names, ["linformer projected_len=3", "linformer projected_len=4"]);
    }
}
