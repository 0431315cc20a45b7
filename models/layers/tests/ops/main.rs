//! Compares the operations with compositions of Burn's own operations and with f64: values and all gradients, in training and in
//! inference.

mod agreement;
mod exactness;
mod extremes;
mod sharing;
mod support;
