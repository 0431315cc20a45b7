//! The `[sweep]` table: one config, many runs.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::matching::Quantity;
use super::model::take;

/// A `[sweep]` table. Besides the keys below, every key is an axis: the path of a key of the config, with the values that it takes.
///
/// ```toml
/// [sweep]
/// "train.lr" = [0.001, 0.003]     # quoted or not
/// "model.*.depth" = [2, 4]        # of all models; one by its name or number: "model.vit.depth", "model.0.depth"
/// seeds = [0, 1, 2]
/// exclude = [{ "train.lr" = 0.003, "model.*.depth" = 4 }]
/// match = "params"                # widths are chosen so that every model has these
/// target = [60_000, 600_000]
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Table", into = "Table")]
pub struct SweepConfig {
    /// How axes are combined.
    pub(super) combine: Combine,
    /// Keys with their values, by key.
    pub(super) axes: Vec<(String, Vec<Value>)>,
    /// Combinations that are left out: those that have all values of a rule.
    pub(super) exclude: Vec<Table>,
    /// The quantity in which all models are matched, and its targets.
    pub(super) matched: Option<(Quantity, Vec<u64>)>,
}

/// How the values of several axes are combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Combine {
    /// Each value of one with each value of the others.
    #[default]
    Grid,
    /// The first values together, the second values together, and so on.
    Zip,
}

/// `target = 60_000` or `target = [60_000, 600_000]`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Targets {
    One(u64),
    Several(Vec<u64>),
}

impl TryFrom<Table> for SweepConfig {
    type Error = String;

    fn try_from(mut table: Table) -> Result<Self, String> {
        let combine = take(&mut table, "combine")?.unwrap_or_default();
        let exclude: Vec<Table> = take(&mut table, "exclude")?.unwrap_or_default();
        let targets = take(&mut table, "target")?.map(|targets| match targets {
            Targets::One(target) => vec![target],
            Targets::Several(targets) => targets,
        });
        let matched = match (take(&mut table, "match")?, targets) {
            (Some(quantity), Some(targets)) => Some((quantity, targets)),
            (None, None) => None,
            (Some(_), None) => return Err("match: needs a target, such as `target = 60_000`".into()),
            (None, Some(_)) => {
                return Err("target: needs a quantity, `match = \"params\"` or `match = \"macs\"`".into());
            }
        };
        let mut axes = Vec::new();
        flatten(&table, "", &mut axes)?;
        let flat = |rule: &Table| {
            let mut flat = Table::new();
            flatten_rule(rule, "", &axes, &mut flat).map(|()| flat)
        };
        let exclude = exclude.iter().map(flat).collect::<Result<_, String>>()?;
        let lengths: HashSet<usize> = axes.iter().map(|(_, values)| values.len()).collect();
        if combine == Combine::Zip && lengths.len() > 1 {
            let lengths: Vec<String> = axes.iter().map(|(key, values)| format!("{key}: {}", values.len())).collect();
            return Err(format!("combine: zipped axes must have equal numbers of values ({})", lengths.join(", ")));
        }
        Ok(Self { combine, axes, exclude, matched })
    }
}

impl From<SweepConfig> for Table {
    fn from(sweep: SweepConfig) -> Self {
        let mut table = Self::new();
        if sweep.combine == Combine::Zip {
            table.insert("combine".into(), "zip".into());
        }
        if let Some((quantity, targets)) = sweep.matched {
            table.insert("match".into(), quantity.key().into());
            table.insert("target".into(), targets.into_iter().map(|target| target as i64).collect::<Vec<_>>().into());
        }
        if !sweep.exclude.is_empty() {
            table.insert("exclude".into(), sweep.exclude.into_iter().map(Value::Table).collect::<Vec<_>>().into());
        }
        table.extend(sweep.axes.into_iter().map(|(key, values)| (key, Value::Array(values))));
        table
    }
}

/// Axes may be written with or without quotes: `"train.lr"` is one key, `train.lr` a table in a table.
fn flatten(table: &Table, path: &str, axes: &mut Vec<(String, Vec<Value>)>) -> Result<(), String> {
    for (key, value) in table {
        let key = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match value {
            Value::Table(inner) => flatten(inner, &key, axes)?,
            Value::Array(values) if values.is_empty() => {
                return Err(format!("{key}: an axis needs at least one value"));
            }
            Value::Array(values) => axes.push((key, values.clone())),
            _ => return Err(format!("{key}: an axis is a list of values, as in `\"{key}\" = [{value}]`")),
        }
    }
    Ok(())
}

/// Keys of rules may be written with or without quotes as well.
fn flatten_rule(rule: &Table, path: &str, axes: &[(String, Vec<Value>)], into: &mut Table) -> Result<(), String> {
    for (key, value) in rule {
        let key = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match value {
            _ if key == "model" && value.is_str() => _ = into.insert(key, value.clone()),
            _ if axes.iter().any(|(axis, _)| *axis == key) => {
                let values = axes.iter().filter(|(axis, _)| *axis == key).flat_map(|(_, values)| values);
                if !values.clone().any(|taken| taken == value) {
                    let values: Vec<String> = values.map(Value::to_string).collect();
                    return Err(format!(
                        "exclude: `{key}` is never {value} in this sweep; its values are {}",
                        values.join(", ")
                    ));
                }
                into.insert(key, value.clone());
            }
            Value::Table(inner) => flatten_rule(inner, &key, axes, into)?,
            _ => {
                return Err(format!(
                    "exclude: `{key}` is not an axis of this sweep; to exclude a model, write `model = \"NAME\"`"
                ));
            }
        }
    }
    Ok(())
}
