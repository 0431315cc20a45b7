//! Positions learned at one image size, for another.

use super::Values;

/// PyTorch's constant of the cubic kernel.
const A: f64 = -0.75;

/// Stretches or shrinks a square grid of positions to `grid` rows and columns, as PyTorch's
/// `interpolate(mode="bicubic", align_corners=False)`; the first `class_tokens` positions stay as they are.
///
/// # Shapes
/// - `positions`: `[1, class_tokens + old_grid², d_model]`
/// - output: `[1, class_tokens + grid², d_model]`
pub(super) fn interpolate_positions(positions: &Values, class_tokens: usize, grid: usize) -> Values {
    let [_, tokens, d_model] = positions.shape[..] else { panic!("positions of {:?}", positions.shape) };
    let (class, map) = positions.data.split_at(class_tokens * d_model);
    let old_grid = (tokens - class_tokens).isqrt();
    let taps: Vec<[(usize, f64); 4]> = (0..grid).map(|place| taps(place, old_grid, grid)).collect();
    let mut data = Vec::with_capacity((class_tokens + grid * grid) * d_model);
    data.extend_from_slice(class);
    for rows in &taps {
        for columns in &taps {
            data.extend((0..d_model).map(|channel| {
                let at = |(row, weight): (usize, f64)| {
                    let value =
                        |(column, weight)| weight * f64::from(map[(row * old_grid + column) * d_model + channel]);
                    weight * columns.map(value).iter().sum::<f64>()
                };
                rows.map(at).iter().sum::<f64>() as f32
            }));
        }
    }
    Values::new([1, class_tokens + grid * grid, d_model], data)
}

/// The four old places that make the new `place`, with their weights. Places beyond the border are the border's.
fn taps(place: usize, old_grid: usize, grid: usize) -> [(usize, f64); 4] {
    let source = (place as f64 + 0.5) * old_grid as f64 / grid as f64 - 0.5;
    let floor = source.floor();
    [-1.0, 0.0, 1.0, 2.0].map(|step: f64| {
        let old = (floor + step).clamp(0.0, (old_grid - 1) as f64);
        (old as usize, cubic((source - floor - step).abs()))
    })
}

/// The kernel of cubic convolution at a distance of up to 2 (Keys 1981, <https://doi.org/10.1109/TASSP.1981.1163711>).
fn cubic(distance: f64) -> f64 {
    let d = distance;
    if d <= 1.0 { ((A + 2.0) * d - (A + 3.0)) * d * d + 1.0 } else { ((A * d - 5.0 * A) * d + 8.0 * A) * d - 4.0 * A }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A map of distinct values without symmetry, of one channel.
    fn map(grid: usize) -> Vec<f32> {
        (0..grid * grid).map(|i| ((7 * i * i + 3 * i) % 11) as f32).collect()
    }

    #[test]
    fn values_are_pytorchs() {
        // From `tests/fixtures/make_interpolation.py`.
        for (old, new, expected) in [
            (
                3,
                5,
                &[
                    -1.655807, 4.498434, 10.672001, 5.445086, -0.138943, 1.838402, 4.750031, 7.427998, 4.027727,
                    0.681027, 6.288, 4.835999, 3.0, 2.784001, 3.0, 6.927359, 3.986688, 1.272002, 4.667955, 8.018978,
                    6.498434, 3.275297, 0.808, 6.470947, 11.618948,
                ][..],
            ),
            (4, 2, &[4.102539, 3.350586, 5.006836, 3.540039]),
            (2, 3, &[-0.992538, 5.130209, 11.252954, -0.151042, 4.25, 8.651041, 0.690454, 3.369792, 6.049131]),
        ] {
            let found = interpolate_positions(&Values::new([1, old * old, 1], map(old)), 0, new);
            assert_eq!(found.shape, [1, new * new, 1]);
            for (found, expected) in found.data.iter().zip(expected) {
                assert!((found - expected).abs() < 1e-5, "{old} to {new}: {found} for {expected}");
            }
        }
    }

    #[test]
    fn class_tokens_stay_and_channels_do_not_mix() {
        let one = interpolate_positions(&Values::new([1, 9, 1], map(3)), 0, 5);
        let pairs: Vec<f32> = [[50.0, 60.0]].into_iter().chain(map(3).into_iter().map(|v| [v, -v])).flatten().collect();
        let two = interpolate_positions(&Values::new([1, 10, 2], pairs), 1, 5);
        assert_eq!(two.shape, [1, 26, 2]);
        assert_eq!(two.data[..2], [50.0, 60.0]);
        assert_eq!(two.data[2..], one.data.iter().flat_map(|v| [*v, -v]).collect::<Vec<_>>());
    }

    #[test]
    fn the_same_size_is_the_same_map() {
        let positions = Values::new([1, 16, 1], map(4));
        assert_eq!(interpolate_positions(&positions, 0, 4), positions);
    }
}
