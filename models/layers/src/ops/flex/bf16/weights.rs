//! Weights in panels, packed once for all products that read them.
//!
//! The lanes share the weights of a step, and evaluation and inference have the same weights throughout. An entry holds its weight, so that
//! the memory that identifies it can be neither changed in place nor given to another tensor while it is here.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use burn::backend::flex::FlexTensor;

use super::Panels;
use crate::ops::flex::matmul::Matrix;

struct Entry {
    weight: FlexTensor,
    transposed: bool,
    panels: Arc<OnceLock<Panels>>,
}

static PACKED: Mutex<Vec<Entry>> = Mutex::new(Vec::new());

/// A weight, or its transpose, in panels.
pub(super) struct Packed(Arc<OnceLock<Panels>>);

impl Packed {
    pub(super) fn panels(&self) -> &Panels {
        self.0.get().expect("filled when it was made")
    }
}

/// A weight, or its transpose, in panels: packed now, unless that was done before.
pub(super) fn packed(weight: &FlexTensor, transposed: bool) -> Packed {
    let panels = {
        let mut entries = PACKED.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |entry: &&Entry| entry.transposed == transposed && is_same(&entry.weight, weight);
        let found = entries.iter().find(is_it).map(|entry| entry.panels.clone());
        found.unwrap_or_else(|| {
            // Weights that nobody else holds have been replaced.
            entries.retain(|entry| !entry.weight.is_unique());
            let panels = Arc::default();
            entries.push(Entry { weight: weight.clone(), transposed, panels: Arc::clone(&panels) });
            panels
        })
    };
    // Outside the lock: another lane that wants this weight waits for it, and others do not.
    panels.get_or_init(|| {
        let matrix = Matrix::of_tensor(weight);
        Panels::of(if transposed { matrix.transposed() } else { matrix })
    });
    Packed(panels)
}

/// Forgets all weights, so that they can be changed in place.
pub(in crate::ops) fn forget() {
    PACKED.lock().unwrap_or_else(PoisonError::into_inner).clear();
}

fn is_same(a: &FlexTensor, b: &FlexTensor) -> bool {
    std::ptr::eq(a.bytes(), b.bytes()) && a.layout() == b.layout()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::flex::tensor::from_values;

    #[test]
    fn a_weight_is_packed_once_and_forgotten_with_its_tensor() {
        let weight = from_values(vec![1.0; 6], [2, 3]);
        let count = |of: &FlexTensor| {
            PACKED.lock().unwrap().iter().filter(|entry| std::ptr::eq(entry.weight.bytes(), of.bytes())).count()
        };
        let first = packed(&weight, false);
        assert!(Arc::ptr_eq(&first.0, &packed(&weight.clone(), false).0));
        assert!(!Arc::ptr_eq(&first.0, &packed(&weight, true).0));
        assert_eq!((first.panels().rows(), first.panels().columns(), count(&weight)), (2, 3, 2));
        let other = weight.clone();
        drop(weight);
        packed(&from_values(vec![1.0; 6], [2, 3]), false);
        assert_eq!(count(&other), 2);
    }
}
