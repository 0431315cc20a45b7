//! The operations against their compositions of Burn's own, and against f64: values and all gradients, in training and in
//! inference.

mod agreement;
mod exactness;
mod extremes;
mod sharing;
mod support;
