//! Matches a file's tensors with a model's parameters: which goes where, what may be left out or adapted, and what is wrong.

use std::collections::{BTreeMap, HashSet};

use layers::layout::{Entry, Layout, Leeway};
use safetensors::Dtype;

use super::detect::{Detected, detect};
use super::interpolate::interpolate_positions;
use super::values::{our_shape, part_shape, their_shape};
use super::{Values, WeightsFile};
use crate::error::{Error, Result};

/// How to make a model's parameters from a file's tensors. Everything that can be wrong has been ruled out.
#[derive(Debug)]
pub(crate) struct Matching {
    /// The parameters that come from the file.
    pub(crate) assignments: Vec<Assignment>,
    /// What was adapted or left untrained, for the user.
    pub(crate) notes: Vec<String>,
}

/// A parameter and the file's tensors that it is made of.
#[derive(Debug)]
pub(crate) struct Assignment {
    /// The parameter, and how the tensors are arranged.
    pub(crate) entry: Entry,
    /// The tensors' full names.
    pub(crate) names: Vec<String>,
}

impl Matching {
    /// Matches a file with a model whose parameters stand in one of the given layouts, or in our own.
    ///
    /// # Errors
    /// If the layout is unknown, or if a tensor is missing, has a wrong shape, is not of floating-point values, or has no place in the
    /// model.
    pub(crate) fn new(file: &WeightsFile, mut layouts: Vec<Layout>) -> Result<Self> {
        let ours: Vec<Layout> = layouts.iter().take(1).map(Layout::ours).collect();
        layouts.extend(ours);
        let Detected { layout, prefix } = detect(file, layouts)?;
        let with_prefix = |entry: Entry| Assignment {
            names: entry.theirs.iter().map(|name| format!("{prefix}{name}")).collect(),
            entry,
        };
        let mut matching =
            Self { assignments: layout.entries.into_iter().map(with_prefix).collect(), notes: Vec::new() };
        let unused: Vec<Assignment> = layout.unused.into_iter().map(with_prefix).collect();
        let help = format!("the file is read in the layout `{}`; give one of a model of these sizes", layout.name);
        matching.check_surplus(file, &unused, &help)?;
        matching.leave_absent(file, Leeway::Pooler);
        matching.leave_absent(file, Leeway::Classifier);
        matching.check_presence(file, &help)?;
        matching.leave_other_classes(file);
        matching.check_shapes(file)?;
        matching.note_conversions(file);
        Ok(matching)
    }

    /// Reads the parameters' values, by path.
    pub(crate) fn read(&self, file: &WeightsFile) -> Result<BTreeMap<String, Values>> {
        self.assignments.iter().map(|assignment| Ok((assignment.entry.ours.clone(), assignment.read(file)?))).collect()
    }

    fn check_surplus(&mut self, file: &WeightsFile, unused: &[Assignment], help: &str) -> Result<()> {
        let used: HashSet<&str> = self.assignments.iter().flat_map(|a| &a.names).map(String::as_str).collect();
        let unused: HashSet<&str> = unused.iter().flat_map(|a| &a.names).map(String::as_str).collect();
        let (ignored, surplus): (Vec<&str>, Vec<&str>) =
            file.names().filter(|name| !used.contains(name)).partition(|name| unused.contains(name));
        if let Some(first) = surplus.first() {
            let problem = format!("the model has no place for this tensor{}", and_more(surplus.len()));
            return Err(file.wrong(first, problem, help));
        }
        if !ignored.is_empty() {
            self.notes.push(format!("not used by this model: {}", ignored.join(", ")));
        }
        Ok(())
    }

    /// Leaves initial values to all parameters of this leeway if the file has none of their tensors.
    fn leave_absent(&mut self, file: &WeightsFile, leeway: Leeway) {
        let of_leeway = |assignment: &Assignment| assignment.entry.leeway == leeway;
        let absent = |assignment: &Assignment| assignment.names.iter().all(|name| file.shape(name).is_none());
        if !self.assignments.iter().any(of_leeway) || !self.assignments.iter().filter(|a| of_leeway(a)).all(absent) {
            return;
        }
        self.assignments.retain(|assignment| !of_leeway(assignment));
        self.notes.push(match leeway {
            Leeway::Pooler => "the file has no pooler; the model's starts untrained".to_owned(),
            _ => "the file has no classifier; the model's starts untrained".to_owned(),
        });
    }

    fn check_presence(&self, file: &WeightsFile, help: &str) -> Result<()> {
        let names = self.assignments.iter().flat_map(|assignment| &assignment.names);
        let missing: Vec<&String> = names.filter(|name| file.shape(name).is_none()).collect();
        match missing.first() {
            None => Ok(()),
            Some(first) => {
                Err(file.wrong(first, format!("the file has no such tensor{}", and_more(missing.len())), help))
            }
        }
    }

    /// Leaves initial values to a classifier that differs from the file's in the number of classes alone.
    fn leave_other_classes(&mut self, file: &WeightsFile) {
        let of_classifier = |assignment: &Assignment| assignment.entry.leeway == Leeway::Classifier;
        let parts = self.assignments.iter().filter(|a| of_classifier(a));
        let found: Option<HashSet<usize>> = parts.map(|part| part.classes_in(file)).collect();
        let wanted = self.assignments.iter().find(|a| of_classifier(a)).and_then(|a| a.entry.shape.last());
        // Weight and bias that disagree are an error of shape.
        let (Some(found), Some(wanted)) = (found, wanted) else { return };
        let [found] = found.into_iter().collect::<Vec<_>>()[..] else { return };
        if found != *wanted {
            let note =
                format!("the file's classifier is for {found} classes; the model's, for {wanted}, starts untrained");
            self.notes.push(note);
            self.assignments.retain(|assignment| !of_classifier(assignment));
        }
    }

    fn check_shapes(&mut self, file: &WeightsFile) -> Result<()> {
        for assignment in &self.assignments {
            let Entry { shape, form, .. } = &assignment.entry;
            let expected = their_shape(*form, &part_shape(shape, assignment.names.len()));
            for name in &assignment.names {
                file.check_float(name)?;
                let found = file.shape(name).unwrap_or_default();
                if *found == *expected {
                    continue;
                }
                let Some((from, to)) = assignment.grids(found) else {
                    return Err(wrong_shape(file, name, found, &expected));
                };
                let note = format!("{name}: positions of {from}x{from} are interpolated to {to}x{to}, bicubically");
                self.notes.push(note);
            }
        }
        Ok(())
    }

    fn note_conversions(&mut self, file: &WeightsFile) {
        let names = self.assignments.iter().flat_map(|assignment| &assignment.names);
        let kinds: Vec<Dtype> = names.filter_map(|name| file.dtype(name)).collect();
        for kind in [Dtype::F16, Dtype::BF16, Dtype::F64] {
            let count = kinds.iter().filter(|found| **found == kind).count();
            if count > 0 {
                self.notes.push(format!("converted from {kind} to F32: {count} tensors"));
            }
        }
    }
}

impl Assignment {
    /// The parameter's values.
    fn read(&self, file: &WeightsFile) -> Result<Values> {
        let Entry { shape, form, leeway, .. } = &self.entry;
        let read = |name: &String| Ok(file.read(name)?.into_ours(*form));
        let parts: Vec<Values> = self.names.iter().map(read).collect::<Result<_>>()?;
        let values = Values::join(&parts);
        Ok(match *leeway {
            Leeway::Positions { class_tokens } if values.shape != *shape => {
                interpolate_positions(&values, class_tokens, (shape[1] - class_tokens).isqrt())
            }
            _ => values,
        })
    }

    /// The classes of the file's classifier, if it is as wide as ours.
    fn classes_in(&self, file: &WeightsFile) -> Option<usize> {
        let [name] = &self.names[..] else { return None };
        let found = our_shape(self.entry.form, file.shape(name)?)?;
        let (classes, width) = found.split_last()?;
        let (_, our_width) = self.entry.shape.split_last()?;
        (width == our_width).then_some(*classes)
    }

    /// Rows of the square of positions in the file and in the model, if that is what they differ in.
    fn grids(&self, found: &[usize]) -> Option<(usize, usize)> {
        let Leeway::Positions { class_tokens } = self.entry.leeway else { return None };
        let found = our_shape(self.entry.form, found)?;
        let (&[1, here, d_model], &[1, there, our_d_model]) = (&found[..], &self.entry.shape[..]) else { return None };
        let grid = |tokens: usize| {
            let places = tokens.checked_sub(class_tokens)?;
            (places > 0 && places.isqrt().pow(2) == places).then_some(places.isqrt())
        };
        (d_model == our_d_model).then(|| Some((grid(here)?, grid(there)?)))?
    }
}

fn wrong_shape(file: &WeightsFile, name: &str, found: &[usize], expected: &[usize]) -> Error {
    file.wrong(
        name,
        format!("its shape is {found:?} where the model has {expected:?}"),
        "the model and its images must have the file's sizes; only the number of classes and learned positions may differ",
    )
}

/// Counts what is wrong besides the first.
fn and_more(count: usize) -> String {
    if count > 1 { format!(", nor {} others", count - 1) } else { String::new() }
}
