//! A record of the products that a forward pass consists of, to check computed costs against.

use std::cell::RefCell;

/// `batch` products of an `[m, k]` matrix with a `[k, n]` matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Product {
    /// The operation that asked for it.
    pub operation: &'static str,
    /// How many.
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

/// Runs `forward` and returns the products that it asked the operations of this module for, on this thread.
pub fn record<T>(forward: impl FnOnce() -> T) -> (T, Vec<Product>) {
    PRODUCTS.with_borrow_mut(|products| *products = Some(Vec::new()));
    let result = forward();
    (result, PRODUCTS.take().unwrap_or_default())
}

/// Notes a product, if anybody asked for a record.
pub(super) fn note(operation: &'static str, batch: usize, [m, k, n]: [usize; 3]) {
    PRODUCTS.with_borrow_mut(|products| {
        if let Some(products) = products {
            products.push(Product { operation, batch, m, k, n });
        }
    });
}
