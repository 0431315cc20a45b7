//! Models of equal size: a model's width is chosen so that it has as many parameters, or multiply-accumulates, as all others.

use layers::Macs;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::architecture::ArchitectureConfig;

/// What models have alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Quantity {
    /// Trainable parameters.
    Params,
    /// Multiply-accumulates of an image's forward pass.
    Macs,
}

/// Greatest share by which a model may miss the target.
const TOLERANCE: f64 = 0.03;

impl Quantity {
    /// As the config has it.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Params => "params",
            Self::Macs => "macs",
        }
    }

    fn of(self, architecture: &ArchitectureConfig) -> u64 {
        let layers = architecture.layers();
        match self {
            Self::Params => layers.iter().map(|layer| layer.params as u64).sum(),
            Self::Macs => {
                let macs = Macs::of(&layers);
                macs.patches + macs.projections + macs.attention + macs.mlp + macs.head
            }
        }
    }
}

/// The architecture with `d_model` and `d_ff` changed so that it has `target` of `quantity`, within 3 %, on images of this size and
/// number of classes. Heads, depth and patches stay; so does the ratio of `d_ff` to `d_model`, unless only another one comes close enough.
pub(super) fn fit_width(
    architecture: &ArchitectureConfig,
    (image_size, classes): (usize, usize),
    quantity: Quantity,
    target: u64,
) -> Result<ArchitectureConfig, String> {
    let table = Table::try_from(architecture).expect("an architecture's sizes are a TOML table");
    let number = |key: &str| table.get(key).and_then(Value::as_integer).map(|value| value as usize);
    let (Some(d_model), Some(d_ff)) = (number("d_model"), number("d_ff")) else {
        return Err("it has no `d_model` and `d_ff` to choose".into());
    };
    let ratio = d_ff as f64 / d_model as f64;
    // Heads share the width equally.
    let unit = number("heads").or(number("head_channels")).unwrap_or(1);
    let with = |d_model: usize, d_ff: usize| {
        let mut table = table.clone();
        table.insert("d_model".into(), Value::Integer(d_model as i64));
        table.insert("d_ff".into(), Value::Integer(d_ff as i64));
        table.try_into::<ArchitectureConfig>().expect("only two sizes are others")
    };
    let size = |d_model, d_ff| quantity.of(&with(d_model, d_ff).for_images(image_size, classes));
    let miss = |size: u64| (size as f64 / target as f64).ln().abs();

    let usual = |d_model: usize| ((d_model as f64 * ratio).round() as usize).max(1);
    let mut widths: Vec<(f64, usize)> = Vec::new();
    for width in (1..).map(|count| count * unit) {
        let size = size(width, usual(width));
        widths.push((miss(size), width));
        if size > 2 * target {
            break;
        }
    }
    widths.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (best, width) = widths[0];
    if best <= TOLERANCE.ln_1p() {
        return Ok(with(width, usual(width)));
    }
    // The size grows with d_ff, so the closest one is found by halving.
    let mut closest: Option<(f64, usize, usize)> = None;
    for (_, width) in widths.into_iter().take(3) {
        let (mut low, mut high) = (usual(width).div_ceil(2), 2 * usual(width));
        while low < high {
            let middle = (low + high) / 2;
            if size(width, middle) < target { low = middle + 1 } else { high = middle }
        }
        for d_ff in [low.saturating_sub(1).max(1), low] {
            let candidate = (miss(size(width, d_ff)), width, d_ff);
            if closest.is_none_or(|closest| candidate.0 < closest.0) {
                closest = Some(candidate);
            }
        }
    }
    let (missed, width, d_ff) = closest.expect("three widths were tried");
    if missed <= TOLERANCE.ln_1p() {
        return Ok(with(width, d_ff));
    }
    Err(format!(
        "no width gives {target} {} within 3 %: the closest is {}, with d_model = {width} and d_ff = {d_ff}",
        quantity.key(),
        size(width, d_ff)
    ))
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
