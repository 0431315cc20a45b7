//! The runs of a plan, with and without a sweep.

#[cfg(test)]
mod tests;

use std::collections::HashSet;

use toml::{Table, Value};

use super::matching::fit_width;
use super::plan::{Plan, RunConfig, SOME_CLASSES};
use super::sweep::{Combine, SweepConfig};
use super::{explain, renamed};
use crate::architecture::ArchitectureConfig;
use crate::error::{Error, Result};

impl Plan {
    /// The runs, seed by seed, so that every model has a result early. Model names are unique within a seed: a
    /// sweep adds what differs to the names of its models.
    pub fn runs(&self) -> Vec<RunConfig> {
        match &self.sweep {
            None => self.seeds.iter().flat_map(|seed| self.models.iter().map(move |m| self.run(*seed, m))).collect(),
            Some(sweep) => sweep.expand(self, "the plan").expect("the sweep was checked when the plan was read"),
        }
    }

    /// Names of the models of all runs, in the plan's order.
    pub fn model_names(&self) -> Vec<String> {
        match &self.sweep {
            None => self.models.iter().map(|model| model.name.clone()).collect(),
            Some(_) => names_of(self.runs()),
        }
    }

    /// Checks everything that does not need the images. Sizes are checked against them by
    /// [`check_models`](Self::check_models).
    pub(super) fn check(&self, place: &str) -> Result<()> {
        let wrong = |key: &str, problem: &str, help: &str| Err(Error::input(format!("{place}: {key}"), problem, help));
        if self.checkpoint_minutes.is_nan() || self.checkpoint_minutes <= 0.0 {
            let problem = format!("must be above 0, got {}", self.checkpoint_minutes);
            return wrong("checkpoint_minutes", &problem, "set it to a number of minutes, such as 10");
        }
        let names = match &self.sweep {
            // Each combination is checked separately. The config without the sweep need not be a valid plan.
            Some(sweep) => names_of(sweep.expand(self, place)?),
            None => {
                self.check_runs(place)?;
                self.model_names()
            }
        };
        for (index, reference) in self.reference.iter().enumerate() {
            reference.check(place, index, &names)?;
        }
        Ok(())
    }
}

/// The names of the runs' models, each once.
fn names_of(runs: Vec<RunConfig>) -> Vec<String> {
    let mut seen = HashSet::new();
    let names = runs.into_iter().map(|run| run.model.name);
    names.filter(|name| seen.insert(name.clone())).collect()
}

/// A combination of a sweep's values.
fn checked_plan_of(table: Table, place: &str) -> Result<Plan> {
    let plan: Plan = serde_path_to_error::deserialize(Value::Table(table)).map_err(|error| {
        let key = error.path().to_string();
        explain::toml_error(place, Some(&key), error.inner())
    })?;
    plan.check(place)?;
    Ok(plan)
}

/// One value of every axis.
type Combination<'a> = Vec<(&'a str, &'a Value)>;

impl SweepConfig {
    /// The runs of `plan`, which contains this table. Runs of one seed are adjacent.
    ///
    /// # Errors
    /// If a combination is not a valid plan. The error names the combination.
    pub(super) fn expand(&self, plan: &Plan, place: &str) -> Result<Vec<RunConfig>> {
        let base = Plan { sweep: None, reference: Vec::new(), ..plan.clone() };
        let base = Table::try_from(&base).expect("a plan is TOML");
        let mut runs = Vec::new();
        let mut seen = HashSet::new();
        self.check_names(plan, place)?;
        let wrong = |key: &str, problem: String| {
            let help = "give the path of a key of the config, as in `\"train.lr\"` or `\"model.*.depth\"`";
            Error::input(format!("{place}: sweep.{key}"), problem, help)
        };
        for combination in self.combinations() {
            let mut table = base.clone();
            for (key, value) in &combination {
                set(&mut table, key, value).map_err(|problem| wrong(key, problem))?;
            }
            let texts: Vec<String> = combination.iter().map(|(key, value)| format!("{key} = {value}")).collect();
            let place = format!("{place} with {}", texts.join(", "));
            let variant = checked_plan_of(table, &place)?;
            for (index, model) in variant.models.iter().enumerate() {
                if self.excludes(&combination, &model.name) {
                    continue;
                }
                for (target, architecture) in self.matched_sizes(&variant, index, plan.classes, &place)? {
                    let mut model = model.clone();
                    model.architecture = architecture;
                    let mut parts = vec![model.name.clone()];
                    parts.extend(target);
                    parts.extend(self.labels(&combination, index, &model.name));
                    model.name = parts.join(" ");
                    for seed in &variant.seeds {
                        // An axis of one model leaves the others as they are.
                        if seen.insert((model.name.clone(), *seed)) {
                            runs.push(variant.run(*seed, &model));
                        }
                    }
                }
            }
        }
        if runs.is_empty() {
            let help = "remove a rule of `exclude`";
            return Err(Error::input(format!("{place}: sweep"), "every combination is excluded", help));
        }
        let mut seeds: Vec<u64> = Vec::new();
        for run in &runs {
            if !seeds.contains(&run.seed) {
                seeds.push(run.seed);
            }
        }
        runs.sort_by_key(|run| seeds.iter().position(|seed| *seed == run.seed));
        Ok(runs)
    }

    /// Refuses axes that cannot be, and exclusions of models that are not in the plan.
    fn check_names(&self, plan: &Plan, place: &str) -> Result<()> {
        if self.axes.iter().any(|(key, _)| key == "data.files") {
            let help = "give each list a config of its own; a results folder keeps one list";
            return Err(Error::input(format!("{place}: sweep.data.files"), "cannot be an axis", help));
        }
        let excluded = self.exclude.iter().filter_map(|rule| rule.get("model").and_then(Value::as_str));
        if let Some(unknown) = excluded.into_iter().find(|name| plan.models.iter().all(|model| model.name != *name)) {
            let names: Vec<&str> = plan.models.iter().map(|model| model.name.as_str()).collect();
            let help = format!("its models are `{}`", names.join("`, `"));
            let problem = format!("the config has no model `{unknown}` to exclude");
            return Err(Error::input(format!("{place}: sweep.exclude"), problem, help));
        }
        Ok(())
    }

    fn combinations(&self) -> Vec<Combination<'_>> {
        match self.combine {
            Combine::Zip => {
                let count = self.axes.first().map_or(1, |(_, values)| values.len());
                (0..count)
                    .map(|at| self.axes.iter().map(|(key, values)| (key.as_str(), &values[at])).collect())
                    .collect()
            }
            Combine::Grid => {
                let mut combinations = vec![Combination::new()];
                for (key, values) in &self.axes {
                    let longer = combinations.iter().flat_map(|combination| {
                        values.iter().map(move |value| [&combination[..], &[(key.as_str(), value)]].concat())
                    });
                    combinations = longer.collect();
                }
                combinations
            }
        }
    }

    fn excludes(&self, combination: &Combination<'_>, model: &str) -> bool {
        let holds = |(key, value): (&String, &Value)| {
            (key == "model" && value.as_str() == Some(model)) || combination.contains(&(key.as_str(), value))
        };
        self.exclude.iter().any(|rule| rule.iter().all(holds))
    }

    /// The model's sizes for each target, with the target's label; its own if nothing is matched.
    fn matched_sizes(
        &self,
        plan: &Plan,
        index: usize,
        classes: Option<usize>,
        place: &str,
    ) -> Result<Vec<(Option<String>, ArchitectureConfig)>> {
        let model = &plan.models[index];
        let Some((quantity, targets)) = &self.matched else { return Ok(vec![(None, model.architecture.clone())]) };
        let classes = plan.data.dataset.classes().or(classes).unwrap_or(SOME_CLASSES);
        let matched = |target: &u64| {
            let architecture = fit_width(&model.architecture, (plan.data.image_size, classes), *quantity, *target)
                .map_err(|problem| {
                    let place = format!("{place}: sweep.match: model `{}`", model.name);
                    Error::input(place, problem, "choose another target, or change the proportions of the model")
                })?;
            let label = (targets.len() > 1).then(|| format!("{}={}", quantity.key(), short(*target)));
            Ok((label, architecture))
        };
        targets.iter().map(matched).collect()
    }

    /// The labels that distinguish the model's variants, such as `lr=0.001`.
    fn labels(&self, combination: &Combination<'_>, index: usize, model: &str) -> Vec<String> {
        let differs = |key: &str| self.axes.iter().any(|(axis, values)| axis == key && values.len() > 1);
        let concerns = |key: &str| {
            let selector = key.strip_prefix("model.").and_then(|rest| rest.split_once('.'));
            selector.is_none_or(|(selector, _)| selects(selector, index, model))
        };
        let labelled = combination.iter().filter(|(key, _)| *key != "seeds" && differs(key) && concerns(key));
        labelled.map(|(key, value)| format!("{}={}", self.short_key(key), self.text(key, value))).collect()
    }

    /// The shortest suffix of the key that no other axis has.
    fn short_key<'a>(&self, key: &'a str) -> &'a str {
        let starts = key.rmatch_indices('.').map(|(at, _)| at + 1).chain([0]);
        let ends_alike = |end: &str, other: &str| other == end || other.ends_with(&format!(".{end}"));
        let mut ends = starts.map(|start| &key[start..]);
        let alone = |end: &&str| self.axes.iter().filter(|(other, _)| ends_alike(end, other)).count() == 1;
        ends.find(alone).unwrap_or(key)
    }

    /// A value in a model's name: a table by its `kind`, if that distinguishes it from the axis's other values.
    fn text(&self, key: &str, value: &Value) -> String {
        let kind = |value: &Value| value.get("kind").and_then(Value::as_str).map(str::to_owned);
        let values = self.axes.iter().find(|(axis, _)| axis == key).map_or(&[][..], |(_, values)| values);
        match (value, kind(value)) {
            (Value::String(text), _) => text.clone(),
            // Shorter than TOML, which writes out every zero.
            (Value::Float(number), _) => format!("{number:?}"),
            (_, Some(name)) if values.iter().filter(|other| kind(other).as_ref() == Some(&name)).count() == 1 => name,
            _ => value.to_string(),
        }
    }
}

/// 60000 as `60k`.
fn short(target: u64) -> String {
    match target {
        t if t >= 1_000_000 && t % 100_000 == 0 => format!("{}M", t as f64 / 1e6),
        t if t >= 1000 && t % 100 == 0 => format!("{}k", t as f64 / 1e3),
        t => t.to_string(),
    }
}

/// Whether the middle of `model.*.depth` means the model of this number and name.
fn selects(selector: &str, index: usize, name: &str) -> bool {
    selector == "*" || selector == name || selector.parse() == Ok(index)
}

/// Sets a key of a plan's table, and creates missing tables on the way.
fn set(table: &mut Table, key: &str, value: &Value) -> Result<(), String> {
    if key == "seeds" && value.is_integer() {
        table.insert(key.into(), Value::Array(vec![value.clone()]));
        return Ok(());
    }
    if let Some(rest) = key.strip_prefix("model.") {
        let (selector, rest) = rest.split_once('.').ok_or("name a key of the model as well, as in `model.*.depth`")?;
        let Some(Value::Array(models)) = table.get_mut("model") else { return Err("the config has no models".into()) };
        let mut found = false;
        for (index, model) in models.iter_mut().enumerate() {
            let Value::Table(model) = model else { continue };
            let name = model.get("name").and_then(Value::as_str).unwrap_or_default();
            if selects(selector, index, name) {
                found = true;
                // A plan of an earlier version has the key's old name, by which its runs are named.
                set_path(model, renamed::current(rest), value)?;
            }
        }
        return if found { Ok(()) } else { Err(format!("there is no model `{selector}`")) };
    }
    set_path(table, key, value)
}

fn set_path(table: &mut Table, path: &str, value: &Value) -> Result<(), String> {
    match path.split_once('.') {
        None => _ = table.insert(path.into(), value.clone()),
        Some((first, rest)) => {
            let inner = table.entry(first).or_insert_with(|| Value::Table(Table::new()));
            let inner = inner.as_table_mut().ok_or_else(|| format!("`{first}` is not a table"))?;
            set_path(inner, rest, value)?;
        }
    }
    Ok(())
}
