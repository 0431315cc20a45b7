//! The innermost loops: a tile of a product stays in registers while the inner dimension is summed.

use pulp::{Simd, WithSimd};

use super::pack::widen;
use crate::ops::simd::{dispatch, limit};

/// A tile of a product, and where its operands and its result are.
#[derive(Clone, Copy)]
pub(super) struct Tile {
    /// Pairs of the inner dimension.
    pub(super) pairs: usize,
    /// The left operand from its first row and pair on.
    pub(super) left: *const u16,
    /// Distance between its rows.
    pub(super) row_step: usize,
    /// Distance between its pairs.
    pub(super) pair_step: usize,
    /// The right operand's panel from its first pair on.
    pub(super) right: *const u32,
    /// Width of that panel, a multiple of 16 and at least `columns`.
    pub(super) width: usize,
    /// The result from its first value on.
    pub(super) result: *mut f32,
    /// Distance between its rows.
    pub(super) stride: usize,
    /// Rows of the tile, at most those that [`max_rows`] allows.
    pub(super) rows: usize,
    /// Columns of the tile.
    pub(super) columns: usize,
    /// Adds to the result instead of replacing it.
    pub(super) add: bool,
    /// Factor of the product.
    pub(super) scale: f32,
}

/// Whether this machine multiplies bf16 numbers itself.
pub(in crate::ops::flex) fn is_native() -> bool {
    #[cfg(target_arch = "x86_64")]
    return limit() >= 512
        && std::arch::is_x86_feature_detected!("avx512bf16")
        && std::arch::is_x86_feature_detected!("avx512bw");
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}

/// Rows of a tile of so many columns, so that its sums fill the registers.
pub(super) fn max_rows(columns: usize) -> usize {
    match columns.div_ceil(16) {
        ..=2 => 12,
        3 => 8,
        _ => 6,
    }
}

impl Tile {
    /// Computes the tile.
    ///
    /// # Safety
    /// The operands must be valid for reads of `pairs` pairs of `rows` rows and of `width` words, and the result for writes of `rows` by
    /// `columns` values, which nothing else accesses and which are initialised if `add` is set.
    pub(super) unsafe fn compute(self, native: bool) {
        debug_assert!(self.rows > 0 && self.rows <= max_rows(self.columns) && self.columns <= self.width);
        #[cfg(target_arch = "x86_64")]
        if native {
            // SAFETY: the caller vouches for the memory, and `is_native` for the instructions.
            unsafe { native::tile(&self) };
            return;
        }
        let _ = native;
        dispatch(Emulated(self));
    }
}

#[cfg(target_arch = "x86_64")]
mod native {
    use std::arch::x86_64::{
        __m512, __m512bh, __m512i, __mmask16, _mm512_add_ps, _mm512_dpbf16_ps, _mm512_loadu_si512,
        _mm512_mask_storeu_ps, _mm512_maskz_loadu_ps, _mm512_mul_ps, _mm512_set1_epi32, _mm512_set1_ps,
        _mm512_setzero_ps, _mm512_setzero_si512,
    };
    use std::mem::transmute;

    use super::Tile;

    /// # Safety
    /// As [`Tile::compute`]; the CPU must have these features.
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    pub(super) unsafe fn tile(tile: &Tile) {
        // SAFETY: as the caller vouches.
        unsafe {
            match tile.columns.div_ceil(16) {
                1 => sized::<12, 1>(tile),
                2 => sized::<12, 2>(tile),
                3 => sized::<8, 3>(tile),
                _ => sized::<6, 4>(tile),
            }
        }
    }

    /// A tile of at most `R` rows and `V` vectors.
    #[expect(clippy::needless_range_loop, reason = "one index runs through several arrays, which stay in registers")]
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    #[inline]
    unsafe fn sized<const R: usize, const V: usize>(tile: &Tile) {
        let mut sums = [[_mm512_setzero_ps(); V]; R];
        // Rows that are missing repeat the last one; their sums are not stored.
        let offsets: [usize; R] = std::array::from_fn(|row| row.min(tile.rows - 1) * tile.row_step);
        let (mut left, mut right) = (tile.left, tile.right);
        for _ in 0..tile.pairs {
            let mut words = [_mm512_setzero_si512(); V];
            for v in 0..V {
                // SAFETY: the panel has as many words, as the caller vouches.
                words[v] = unsafe { _mm512_loadu_si512(right.add(16 * v).cast()) };
            }
            for row in 0..R {
                // SAFETY: the row has this pair, as the caller vouches.
                let pair = unsafe { left.add(offsets[row]).cast::<i32>().read_unaligned() };
                let pair = bf16(_mm512_set1_epi32(pair));
                for v in 0..V {
                    sums[row][v] = _mm512_dpbf16_ps(sums[row][v], pair, bf16(words[v]));
                }
            }
            left = left.wrapping_add(tile.pair_step);
            right = right.wrapping_add(tile.width);
        }
        for row in 0..R {
            if row < tile.rows {
                for v in 0..V {
                    let mask = mask(tile.columns.saturating_sub(16 * v));
                    let result = tile.result.wrapping_add(row * tile.stride + 16 * v);
                    // SAFETY: the mask keeps to the columns of the tile.
                    unsafe { store(tile, result, mask, sums[row][v]) };
                }
            }
        }
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    unsafe fn store(tile: &Tile, result: *mut f32, mask: __mmask16, sum: __m512) {
        let mut value = _mm512_mul_ps(sum, _mm512_set1_ps(tile.scale));
        // SAFETY: as the caller vouches.
        unsafe {
            if tile.add {
                value = _mm512_add_ps(value, _mm512_maskz_loadu_ps(mask, result));
            }
            _mm512_mask_storeu_ps(result, mask, value);
        }
    }

    /// The first `columns` of a vector.
    fn mask(columns: usize) -> __mmask16 {
        if columns >= 16 { 0xffff } else { (1 << columns) - 1 }
    }

    fn bf16(words: __m512i) -> __m512bh {
        // SAFETY: both are 512 bits of any value.
        unsafe { transmute::<__m512i, __m512bh>(words) }
    }
}

/// The same sums with instructions for f32.
struct Emulated(Tile);

impl WithSimd for Emulated {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let tile = self.0;
        let mut row = 0;
        while row < tile.rows {
            match tile.rows - row {
                // SAFETY: as the caller of `Tile::compute` vouches.
                4.. => unsafe { emulated_rows::<S, 4>(simd, &tile, &mut row) },
                // SAFETY: likewise.
                _ => unsafe { emulated_rows::<S, 1>(simd, &tile, &mut row) },
            }
        }
    }
}

/// `R` rows of a tile.
///
/// # Safety
/// As [`Tile::compute`].
#[inline(always)]
unsafe fn emulated_rows<S: Simd, const R: usize>(simd: S, tile: &Tile, row: &mut usize) {
    let (upper, sixteen) = (simd.splat_u32s(0xffff_0000), simd.splat_u32s(16));
    for start in (0..tile.columns).step_by(S::F32_LANES) {
        let mut sums = [simd.splat_f32s(0.0); R];
        for pair in 0..tile.pairs {
            // SAFETY: a panel's width is a multiple of every vector's length.
            let words = unsafe { std::slice::from_raw_parts(tile.right.add(pair * tile.width + start), S::F32_LANES) };
            let words = simd.partial_load_u32s(words);
            let first = simd.transmute_f32s_u32s(simd.wrapping_dyn_shl_u32s(words, sixteen));
            let second = simd.transmute_f32s_u32s(simd.and_u32s(words, upper));
            for (index, sum) in sums.iter_mut().enumerate() {
                let left = tile.left.wrapping_add((*row + index) * tile.row_step + pair * tile.pair_step);
                // SAFETY: the row has this pair.
                let left = unsafe { [widen(left.read()), widen(left.add(1).read())] };
                // The instruction for bf16 adds the products in this order.
                *sum = simd.mul_add_e_f32s(second, simd.splat_f32s(left[1]), *sum);
                *sum = simd.mul_add_e_f32s(first, simd.splat_f32s(left[0]), *sum);
            }
        }
        let columns = S::F32_LANES.min(tile.columns - start);
        for (index, sum) in sums.into_iter().enumerate() {
            let result = tile.result.wrapping_add((*row + index) * tile.stride + start);
            let mut value = simd.mul_f32s(sum, simd.splat_f32s(tile.scale));
            if tile.add {
                // SAFETY: these values are the tile's, and initialised.
                let before = unsafe { std::slice::from_raw_parts(result, columns) };
                value = simd.add_f32s(value, simd.partial_load_f32s(before));
            }
            let mut values = [0.0; 16];
            simd.partial_store_f32s(&mut values[..S::F32_LANES], value);
            // SAFETY: these values are the tile's.
            unsafe { std::ptr::copy_nonoverlapping(values.as_ptr(), result, columns) };
        }
    }
    *row += R;
}
