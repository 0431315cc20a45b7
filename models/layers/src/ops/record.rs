//! Records the matrix products of a forward pass, so that tests can check computed costs against them.

use std::cell::RefCell;

/// `batch` products of an `[m, k]` matrix with a `[k, n]` matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Product {
    /// The operation that computes it.
    pub operation: &'static str,
    /// Number of products.
    pub batch: usize,
    /// Rows of the result.
    pub m: usize,
    /// Length of the sums.
    pub k: usize,
    /// Columns of the result.
    pub n: usize,
}

impl Product {
    /// Multiply-accumulates.
    pub fn macs(&self) -> u64 {
        (self.batch * self.m * self.k * self.n) as u64
    }
}

thread_local! {
    static PRODUCTS: RefCell<Option<Vec<Product>>> = const { RefCell::new(None) };
}

/// Runs `forward` and returns the products that the operations of this module computed in it, on this thread.
pub fn record<T>(forward: impl FnOnce() -> T) -> (T, Vec<Product>) {
    PRODUCTS.with_borrow_mut(|products| *products = Some(Vec::new()));
    let result = forward();
    (result, PRODUCTS.take().unwrap_or_default())
}

/// Records a product while a [`record`] is being made.
pub(super) fn note(operation: &'static str, batch: usize, [m, k, n]: [usize; 3]) {
    PRODUCTS.with_borrow_mut(|products| {
        if let Some(products) = products {
            products.push(Product { operation, batch, m, k, n });
        }
    });
}
