//! Models of equal size: chooses a model's width so that it has a wanted number of parameters or multiply-accumulates.

use layers::architecture::Widths;
use layers::macs_by_part;
use serde::{Deserialize, Serialize};

use crate::architecture::ArchitectureConfig;

/// The quantity in which models are matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Quantity {
    /// Trainable parameters.
    Params,
    /// Multiply-accumulates of an image's forward pass.
    Macs,
}

/// Largest fraction by which a model may miss the target.
const TOLERANCE: f64 = 0.03;

impl Quantity {
    /// Its name in configs.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Params => "params",
            Self::Macs => "macs",
        }
    }

    fn of(self, architecture: &ArchitectureConfig) -> u64 {
        let layers = architecture.layers();
        match self {
            Self::Params => layers.iter().map(|layer| layer.params() as u64).sum(),
            Self::Macs => macs_by_part(&layers).iter().map(|(_, macs)| macs).sum(),
        }
    }
}

/// The architecture with its widths changed so that it has `target` of `quantity`, within 3 %, on images of this size and number of
/// classes. Heads, depth and patches stay; so does the ratio of the inner width to the outer one, unless only another one comes close
/// enough.
///
/// # Errors
/// If the architecture has no widths to choose, or none comes close enough.
pub(super) fn fit_width(
    architecture: &ArchitectureConfig,
    (image_size, classes): (usize, usize),
    quantity: Quantity,
    target: u64,
) -> Result<ArchitectureConfig, String> {
    let Widths { width: own_width, multiple_of, inner: own_inner } =
        architecture.widths().ok_or("its architecture has no widths to choose")?;
    let usual = |width: usize| {
        let ratio = own_inner? as f64 / own_width as f64;
        Some(((width as f64 * ratio).round() as usize).max(1))
    };
    let with = |width, inner| architecture.with_widths(width, inner);
    let size = |width, inner| quantity.of(&with(width, inner).for_images(image_size, classes));
    let miss = |size: u64| (size as f64 / target as f64).ln().abs();

    let mut widths: Vec<(f64, usize)> = Vec::new();
    for width in (1..).map(|count| count * multiple_of) {
        let size = size(width, usual(width));
        widths.push((miss(size), width));
        if size > 2 * target {
            break;
        }
    }
    widths.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut missed, mut width) = widths[0];
    let mut inner = usual(width);
    if missed > TOLERANCE.ln_1p() && own_inner.is_some() {
        let nearest = widths.iter().take(3).map(|(_, width)| *width);
        let tried = nearest.flat_map(|width| {
            let usual = usual(width).unwrap_or(1);
            let inner = closest_inner(usual, |inner| size(width, Some(inner)) < target);
            inner.map(|inner| (miss(size(width, Some(inner))), width, Some(inner)))
        });
        (missed, width, inner) = tried.min_by(|a, b| a.0.total_cmp(&b.0)).expect("three widths were tried");
    }
    if missed <= TOLERANCE.ln_1p() {
        return Ok(with(width, inner));
    }
    let inner_text = inner.map_or_else(String::new, |inner| format!(" and an inner width of {inner}"));
    let closest = size(width, inner);
    let quantity = quantity.key();
    Err(format!(
        "no width gives {target} {quantity} within 3 %: the closest is {closest}, with a width of {width}{inner_text}"
    ))
}

/// The two inner widths around the target, between half and twice the usual one. The size grows with the inner width, so they are found by
/// halving.
fn closest_inner(usual: usize, is_below: impl Fn(usize) -> bool) -> [usize; 2] {
    let (mut low, mut high) = (usual.div_ceil(2), 2 * usual);
    while low < high {
        let middle = (low + high) / 2;
        if is_below(middle) { low = middle + 1 } else { high = middle }
    }
    [low.saturating_sub(1).max(1), low]
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODELS: [&str; 3] = [
        "architecture = 'vit'\npatch_size = 4\nd_model = 40\ndepth = 4\nheads = 5\nd_ff = 80",
        "architecture = 'linformer'\npatch_size = 4\nd_model = 40\ndepth = 4\nheads = 5\nd_ff = 60\nk = 16",
        "architecture = 'conv_vit'\npatch_size = 2\nd_model = 32\ndepth = 4\nhead_channels = 8\nd_ff = 128",
    ];

    #[test]
    fn widths_bring_every_architecture_to_the_target() {
        for model in MODELS {
            let architecture: ArchitectureConfig = toml::from_str(model).unwrap();
            for (quantity, target) in [
                (Quantity::Params, 20_000),
                (Quantity::Params, 60_000),
                (Quantity::Params, 600_000),
                (Quantity::Params, 5_000_000),
                (Quantity::Macs, 10_000_000),
                (Quantity::Macs, 300_000_000),
            ] {
                let fitted = fit_width(&architecture, (32, 10), quantity, target).unwrap().for_images(32, 10);
                fitted.check().unwrap();
                let share = quantity.of(&fitted) as f64 / target as f64;
                assert!((share - 1.0).abs() <= 0.031, "{model}: {share} of {target} {}", quantity.key());
            }
        }
    }

    #[test]
    fn a_target_that_no_width_reaches_is_an_error_with_the_closest() {
        let architecture: ArchitectureConfig = toml::from_str(MODELS[0]).unwrap();
        let problem = fit_width(&architecture, (32, 10), Quantity::Params, 100).unwrap_err();
        assert!(problem.contains("no width gives 100 params within 3 %: the closest is"), "{problem}");
    }
}
