//! Linear maps.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use crate::ops;

/// `y = x W + b` over the last axis; the same function as a 1x1 convolution over channels.
#[derive(Module, Debug)]
pub struct Linear {
    /// `[d_input, d_output]`, the transpose of PyTorch's.
    pub weight: Param<Tensor<2>>,
    /// `[d_output]`.
    pub bias: Option<Param<Tensor<1>>>,
}

impl Linear {
    /// `x W + b`.
    ///
    /// # Shapes
    /// - `x`: `[.., d_input]`
    /// - output: `[.., d_output]`
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        ops::linear(x, self.weight.val(), self.bias())
    }

    /// `residual + forward(x)`, in one pass where the backend can.
    ///
    /// # Shapes
    /// - `x`: `[.., d_input]`
    /// - `residual` and output: `[.., d_output]`
    pub fn forward_residual<const D: usize>(&self, x: Tensor<D>, residual: Tensor<D>) -> Tensor<D> {
        ops::linear_residual(x, self.weight.val(), self.bias(), residual)
    }

    /// `gelu(forward(x))`, in one pass where the backend can.
    ///
    /// # Shapes
    /// - `x`: `[.., d_input]`
    /// - output: `[.., d_output]`
    pub fn forward_gelu<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        ops::linear_gelu(x, self.weight.val(), self.bias())
    }

    fn bias(&self) -> Option<Tensor<1>> {
        self.bias.as_ref().map(Param::val)
    }
}
