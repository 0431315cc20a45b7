//! Matrix products whose operands are rounded to bf16, with sums in f32: what autocast computes.
//!
//! An operand is rounded to nearest, ties to even, when it is packed. Two neighbours of the inner dimension share a word of 32 bits,
//! because the instruction for bf16 (`vdpbf16ps`) multiplies pairs and adds both products to a sum in f32. Left operands are [`Rows`],
//! which are in the order of a row-major matrix, or the transpose of [`Panels`]; right operands are [`Panels`]. A matrix that several
//! products read is packed once.
//!
//! Without that instruction, the same sums are computed in the same order with f32 instructions. A product of two bf16 numbers is exact
//! in f32, so the results differ only where the instruction treats denormal numbers as zero.

pub(super) mod attention;
pub(super) mod linear;
mod micro;
mod pack;
mod product;
pub(super) mod tokens;
pub(super) mod weights;

pub(super) use micro::is_native;
pub(super) use pack::{Panels, Rows, narrowed, nearest, round_in_place, widened};
pub(super) use product::{Finish, Left, Nothing, add_product, write_product};

#[cfg(test)]
mod op_tests;
#[cfg(test)]
mod tests;
