//! Linear maps along the sequence, `weightᵀ x` for every item of the batch, with operands in bf16.

use burn::backend::flex::FlexTensor;

use super::{Left, Nothing, Panels, Rows, add_product, write_product};
use crate::ops::flex::matmul::Matrix;
use crate::ops::flex::tensor::{contiguous, filled, from_values, values};

/// `[batch, k, d]` from a weight `[tokens, k]` and `x` of `[batch, tokens, d]`.
pub(in crate::ops::flex) fn forward(weight: FlexTensor, x: FlexTensor) -> FlexTensor {
    let (weight, x) = (contiguous(weight), contiguous(x));
    let [_, k] = weight.layout().shape().dims();
    let [batch, tokens, d] = x.layout().shape().dims();
    let weight = Panels::of(Matrix::row_major(values(&weight), k));
    let write = |y: &mut [_]| {
        for (x, y) in values(&x).chunks_exact(tokens * d).zip(y.chunks_exact_mut(k * d)) {
            let x = Panels::of(Matrix::row_major(x, d));
            write_product(y, d, Left::Transposed(&weight), &x, 1.0, &mut Nothing);
        }
    };
    // SAFETY: the products are the items of the batch.
    from_values(unsafe { filled(batch * k * d, write) }, [batch, k, d])
}

/// The gradients of `weight` and `x` that `needs` selects.
pub(in crate::ops::flex) fn backward(
    weight: FlexTensor,
    x: FlexTensor,
    dy: FlexTensor,
    [needs_weight, needs_x]: [bool; 2],
) -> [Option<FlexTensor>; 2] {
    let (weight, x, dy) = (contiguous(weight), contiguous(x), contiguous(dy));
    let [tokens, k] = weight.layout().shape().dims();
    let [batch, _, d] = x.layout().shape().dims();
    let [mut of_weight, mut of_x] = [const { Vec::new() }; 2];
    let weight_rows = Rows::round(Matrix::row_major(values(&weight), k), &mut of_weight);
    let mut dweight = vec![0.0; if needs_weight { tokens * k } else { 0 }];
    let mut dx = vec![0.0; if needs_x { batch * tokens * d } else { 0 }];
    let items = values(&x).chunks_exact(tokens * d).zip(values(&dy).chunks_exact(k * d));
    for (item, (x, dy)) in items.enumerate() {
        let dy = Matrix::row_major(dy, d);
        if needs_weight {
            let x = Rows::round(Matrix::row_major(x, d), &mut of_x);
            add_product(&mut dweight, k, Left::Rows(x), &Panels::of(dy.transposed()), 1.0);
        }
        if needs_x {
            let dx = &mut dx[item * tokens * d..][..tokens * d];
            write_product(dx, d, Left::Rows(weight_rows), &Panels::of(dy), 1.0, &mut Nothing);
        }
    }
    [needs_weight.then(|| from_values(dweight, [tokens, k])), needs_x.then(|| from_values(dx, [batch, tokens, d]))]
}
