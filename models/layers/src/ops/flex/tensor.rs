//! Flex tensors as slices and vectors.

use std::mem::MaybeUninit;

use burn::backend::TensorMetadata;
use burn::backend::flex::{FlexTensor, Layout};
use burn::tensor::{Bytes, DType, Shape};

/// Number of values that a kernel processes at a time if another pass over them comes first: 16 KiB, half of a first-level cache.
pub(super) const BLOCK: usize = 4096;

/// The part of [`BLOCK`] that whole rows fill, but at least one row.
pub(super) fn whole_rows(columns: usize) -> usize {
    (BLOCK / columns).max(1) * columns
}

/// A tensor of `values` in row-major order.
pub(super) fn from_values(values: Vec<f32>, shape: impl Into<Shape>) -> FlexTensor {
    let shape = shape.into();
    debug_assert_eq!(values.len(), shape.num_elements());
    FlexTensor::new(Bytes::from_elems(values), Layout::contiguous(shape), DType::F32)
}

/// The tensor in row-major order, without a copy if it already is, as a view of a larger buffer may be.
pub(super) fn contiguous(tensor: FlexTensor) -> FlexTensor {
    assert_eq!(tensor.dtype(), DType::F32, "the fused operations compute in f32");
    if tensor.is_contiguous() { tensor } else { tensor.to_contiguous() }
}

/// The values of a tensor that is [`contiguous`].
pub(super) fn values(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice().expect("the tensor is contiguous and of f32")
}

/// The tensor in its own buffer, to be changed in place: the same one if nothing else holds its buffer, else a copy.
pub(super) fn owned(tensor: FlexTensor) -> FlexTensor {
    let tensor = contiguous(tensor);
    if tensor.is_unique() { tensor } else { from_values(values(&tensor).to_vec(), tensor.shape()) }
}

/// The values of a tensor that is [`owned`].
pub(super) fn values_mut(tensor: &mut FlexTensor) -> &mut [f32] {
    let (start, end) = tensor.layout().contiguous_offsets().expect("the tensor is contiguous");
    &mut tensor.try_storage_mut().expect("nothing else holds the buffer")[start..end]
}

/// The shape with the last axis replaced.
pub(super) fn with_last_axis(tensor: &FlexTensor, length: usize) -> Shape {
    let mut shape = tensor.shape();
    let last = shape.num_dims() - 1;
    shape[last] = length;
    shape
}

/// A vector of `length` values that `fill` writes.
///
/// # Safety
/// `fill` must write every element.
pub(super) unsafe fn filled(length: usize, fill: impl FnOnce(&mut [MaybeUninit<f32>])) -> Vec<f32> {
    let mut values = Vec::with_capacity(length);
    fill(&mut values.spare_capacity_mut()[..length]);
    // SAFETY: the capacity suffices, and the caller promises that the elements are written.
    unsafe { values.set_len(length) };
    values
}
