//! Loops that are compiled for several instruction sets, of which the best is chosen at run time, and the mathematical
//! functions for their insides.
//!
//! The loops are plain Rust over slices and [`Lanes`]; the compiler vectorises them. Sums run over [`LANES`] partial sums
//! whatever the instruction set, so that AVX2 and AVX-512 machines add in the same order.

/// Partial sums of a reduction: one AVX-512 register, two of AVX2, four of SSE2 or NEON.
pub(crate) const LANES: usize = 16;

/// As many values as a reduction works on side by side.
pub(crate) type Lanes = [f32; LANES];

/// Instruction sets that the loops are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// What every processor of the target has: SSE2 on x86-64, NEON on aarch64.
    Baseline,
    /// AVX2 and FMA (x86-64-v3).
    #[cfg(target_arch = "x86_64")]
    V3,
    /// AVX-512 F, BW, DQ and VL (x86-64-v4).
    #[cfg(target_arch = "x86_64")]
    V4,
}

/// The best level of this machine.
pub(crate) fn level() -> Level {
    let level = detect();
    #[cfg(test)]
    let level = level.min(tests::LIMIT.get());
    level
}

#[cfg(target_arch = "x86_64")]
fn detect() -> Level {
    // The macro caches its answers, so that this is a few loads and branches.
    let v3 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    let v4 = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl");
    match (v3, v4) {
        (true, true) => Level::V4,
        (true, false) => Level::V3,
        (false, _) => Level::Baseline,
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn detect() -> Level {
    Level::Baseline
}

/// Defines functions that are compiled once for every [`Level`] and run at the level of the machine.
///
/// The const parameter tells the body whether a fused multiply-add is one instruction; [`mul_add`] wants to know. What the
/// body calls must be `#[inline(always)]`, or it is compiled for the baseline only.
macro_rules! multiversion {
    ($(
        $(#[$attribute:meta])*
        $visibility:vis fn $name:ident<const $fma:ident: bool>($($argument:ident: $type:ty),* $(,)?) $(-> $output:ty)? $body:block
    )*) => { $(
        $(#[$attribute])*
        $visibility fn $name($($argument: $type),*) $(-> $output)? {
            #[inline(always)]
            #[allow(clippy::too_many_arguments)]
            fn body<const $fma: bool>($($argument: $type),*) $(-> $output)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
                #[allow(clippy::too_many_arguments)]
                fn v4($($argument: $type),*) $(-> $output)? { body::<true>($($argument),*) }

                #[target_feature(enable = "avx2,fma")]
                #[allow(clippy::too_many_arguments)]
                fn v3($($argument: $type),*) $(-> $output)? { body::<true>($($argument),*) }

                match $crate::ops::simd::level() {
                    // SAFETY: `level` has found the features of `v4` on this machine.
                    $crate::ops::simd::Level::V4 => return unsafe { v4($($argument),*) },
                    // SAFETY: `level` has found the features of `v3` on this machine.
                    $crate::ops::simd::Level::V3 => return unsafe { v3($($argument),*) },
                    $crate::ops::simd::Level::Baseline => {}
                }
            }
            body::<{ cfg!(target_arch = "aarch64") }>($($argument),*)
        }
    )* };
}
pub(crate) use multiversion;

/// `a b + c`, fused where that is one instruction; elsewhere `f32::mul_add` would call the mathematical library.
#[inline(always)]
pub(crate) fn mul_add<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// Adds up the partial sums.
#[inline(always)]
pub(crate) fn sum_of_lanes(lanes: Lanes) -> f32 {
    fold_lanes(lanes, |a, b| a + b)
}

/// Combines neighbours at half the distance each time, as the horizontal instructions do.
#[inline(always)]
fn fold_lanes(mut lanes: Lanes, combine: impl Fn(f32, f32) -> f32) -> f32 {
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] = combine(lanes[i], lanes[i + width]);
        }
        width /= 2;
    }
    lanes[0]
}

/// The sum of `x`.
#[inline(always)]
pub(crate) fn sum(x: &[f32]) -> f32 {
    let (chunks, tail) = x.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for chunk in chunks {
        for i in 0..LANES {
            lanes[i] += chunk[i];
        }
    }
    sum_of_lanes(lanes) + tail.iter().sum::<f32>()
}

/// The sum of squared distances between `x` and `centre`.
#[inline(always)]
pub(crate) fn sum_of_squares<const FMA: bool>(x: &[f32], centre: f32) -> f32 {
    let (chunks, tail) = x.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for chunk in chunks {
        for i in 0..LANES {
            let distance = chunk[i] - centre;
            lanes[i] = mul_add::<FMA>(distance, distance, lanes[i]);
        }
    }
    sum_of_lanes(lanes) + tail.iter().map(|x| (x - centre) * (x - centre)).sum::<f32>()
}

/// The inner product of `x` and `y`.
#[inline(always)]
pub(crate) fn dot<const FMA: bool>(x: &[f32], y: &[f32]) -> f32 {
    let ((x, x_tail), (y, y_tail)) = (x.as_chunks::<LANES>(), y.as_chunks::<LANES>());
    let mut lanes = [0.0; LANES];
    for (x, y) in x.iter().zip(y) {
        for i in 0..LANES {
            lanes[i] = mul_add::<FMA>(x[i], y[i], lanes[i]);
        }
    }
    sum_of_lanes(lanes) + x_tail.iter().zip(y_tail).map(|(x, y)| x * y).sum::<f32>()
}

/// The largest of `x`; negative infinity if there is none. Skips NaN.
#[inline(always)]
pub(crate) fn max(x: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let (chunks, tail) = x.as_chunks::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for chunk in chunks {
        for i in 0..LANES {
            lanes[i] = larger(lanes[i], chunk[i]);
        }
    }
    tail.iter().copied().fold(fold_lanes(lanes, larger), larger)
}

/// `e^x` for x up to 88, with a relative error below 2e-7; zero where the result would be denormal.
///
/// Range reduction and polynomial of Cephes' `expf` (Moshier, <https://www.netlib.org/cephes/>), as in Eigen's `pexp_float`.
#[inline(always)]
pub(crate) fn exp<const FMA: bool>(x: f32) -> f32 {
    // Adding 1.5 * 2^23 leaves the nearest integer in the low bits of the mantissa.
    const ROUND: f32 = 12_582_912.0;
    // ln 2 in two parts, of which the first has so few bits that its products with integers are exact.
    const LN_2_HIGH: f32 = 0.693_359_375;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    const SMALLEST: f32 = -87.336_54;

    let rounded = mul_add::<FMA>(x, std::f32::consts::LOG2_E, ROUND);
    let n = rounded - ROUND;
    let r = mul_add::<FMA>(n, -LN_2_HIGH, x);
    let r = mul_add::<FMA>(n, -LN_2_LOW, r);
    let mut p = 1.987_569_1e-4;
    p = mul_add::<FMA>(p, r, 1.398_199_9e-3);
    p = mul_add::<FMA>(p, r, 8.333_452e-3);
    p = mul_add::<FMA>(p, r, 4.166_579_6e-2);
    p = mul_add::<FMA>(p, r, 1.666_666_5e-1);
    p = mul_add::<FMA>(p, r, 0.5);
    p = mul_add::<FMA>(p * r, r, r) + 1.0;
    let power = f32::from_bits((rounded.to_bits() << 23).wrapping_add(127 << 23));
    if x < SMALLEST { 0.0 } else { p * power }
}

/// The error function, with an absolute error below 2e-7; exactly one from 3.84 on.
///
/// The rational minimax approximation of Eigen's `generic_fast_erf_float`
/// (<https://gitlab.com/libeigen/eigen>, `SpecialFunctionsImpl.h`).
#[inline(always)]
pub(crate) fn erf<const FMA: bool>(x: f32) -> f32 {
    // erf differs from one by less than half a unit in the last place from here on.
    const ONE: f32 = 3.832_506_9;
    let s = x * x;
    let mut p = 2.290_506_5e-4;
    p = mul_add::<FMA>(p, s, 3.408_291e-3);
    p = mul_add::<FMA>(p, s, 5.095_569_5e-2);
    p = mul_add::<FMA>(p, s, 1.852_083_2e-1);
    p = mul_add::<FMA>(p, s, 1.128_379_1);
    let mut q = -1.179_160_3e-7;
    q = mul_add::<FMA>(q, s, 2.354_796_6e-5);
    q = mul_add::<FMA>(q, s, 1.017_962_5e-3);
    q = mul_add::<FMA>(q, s, 1.407_047e-2);
    q = mul_add::<FMA>(q, s, 1.109_850_5e-1);
    q = mul_add::<FMA>(q, s, 4.974_692_5e-1);
    q = mul_add::<FMA>(q, s, 1.0);
    let inside = x * p / q;
    if x.abs() >= ONE { 1.0_f32.copysign(x) } else { inside }
}
