//! Colours and markers. The colour shows the architecture; the shade and the marker show which of its models it is.

use plotters::style::{Color, RGBColor};

use crate::architecture;
use crate::report::figures::ModelFigures;

/// Text and axes.
pub(crate) const INK: RGBColor = RGBColor(38, 38, 38);
/// Secondary text.
pub(crate) const FAINT_INK: RGBColor = RGBColor(110, 110, 110);
/// Grid lines.
pub(crate) const GRID: RGBColor = RGBColor(226, 226, 226);

/// Architectures that have a colour of their own.
pub(crate) const COLORS: usize = 6;

/// Okabe and Ito's palette, which people with any kind of colour vision can tell apart; without its yellow, which is too light
/// for a line on white.
const PALETTE: [RGBColor; COLORS] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
];

/// Parts of a whole, from the first to the last.
pub(crate) const PARTS: [RGBColor; 4] =
    [RGBColor(128, 128, 160), RGBColor(86, 180, 233), RGBColor(0, 114, 178), RGBColor(230, 159, 0)];

/// Shape of a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Marker {
    /// A disc.
    Circle,
    /// A square on its side.
    Square,
    /// A triangle on its base.
    Triangle,
    /// A square on its corner.
    Diamond,
}

/// How a model looks in every plot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Look {
    /// Colour of its lines, bars and points.
    pub(crate) color: RGBColor,
    /// Shape of its points.
    pub(crate) marker: Marker,
}

/// The look of each model, in their order.
pub(crate) fn of_models(models: &[ModelFigures<'_>]) -> Vec<Look> {
    // The colour of a registered architecture does not depend on which others are in a report.
    let mut architectures = architecture::names().to_vec();
    for model in models {
        if !architectures.contains(&model.runs.architecture) {
            architectures.push(model.runs.architecture);
        }
    }
    let of_architecture = |name: &str| models.iter().filter(move |model| model.runs.architecture == name).count();
    let mut met = vec![0; architectures.len()];
    let mut looks = Vec::new();
    for model in models {
        let index = architectures.iter().position(|name| *name == model.runs.architecture).unwrap_or_default();
        let color = shade(PALETTE[index % PALETTE.len()], met[index], of_architecture(model.runs.architecture));
        let markers = [Marker::Circle, Marker::Square, Marker::Triangle, Marker::Diamond];
        looks.push(Look { color, marker: markers[met[index] % markers.len()] });
        met[index] += 1;
    }
    looks
}

/// Looks of reported runs: grey, each with its own marker and shade.
pub(crate) fn of_others() -> impl Iterator<Item = Look> {
    let shades = [RGBColor(60, 60, 60), RGBColor(130, 130, 130), RGBColor(165, 165, 165)];
    let markers = [Marker::Diamond, Marker::Triangle, Marker::Square, Marker::Circle];
    (0..).map(move |index| Look { color: shades[index % shades.len()], marker: markers[index % markers.len()] })
}

/// The `index`th of `count` shades of a colour, from darker to lighter; the colour itself if `count` is 1.
fn shade(color: RGBColor, index: usize, count: usize) -> RGBColor {
    if count < 2 {
        return color;
    }
    // -0.35 is a third of the way to black, +0.5 half way to white.
    let way = -0.35 + 0.85 * index as f64 / (count - 1) as f64;
    if way < 0.0 { mix(color, 0.0, -way) } else { mix(color, 255.0, way) }
}

/// A colour mixed with black (0) or white (255).
fn mix(color: RGBColor, target: f64, amount: f64) -> RGBColor {
    let mix = |channel: u8| (f64::from(channel) + (target - f64::from(channel)) * amount).round() as u8;
    let (r, g, b) = color.rgb();
    RGBColor(mix(r), mix(g), mix(b))
}

/// The colours nearest to this one with a contrast of at least 3.2 to 1 to a white and to a dark background.
pub(crate) fn on_grounds(color: RGBColor) -> [RGBColor; 2] {
    let away = |ground: RGBColor, target: f64| {
        let steps = (0..=20).map(|step| mix(color, target, f64::from(step) / 20.0));
        steps.clone().find(|color| contrast(*color, ground) >= 3.2).unwrap_or_else(|| mix(color, target, 1.0))
    };
    [away(RGBColor(255, 255, 255), 0.0), away(RGBColor(22, 26, 32), 255.0)]
}

/// Contrast of two colours as the Web Content Accessibility Guidelines define it, from 1 to 21.
fn contrast(a: RGBColor, b: RGBColor) -> f64 {
    let luminance = |color: RGBColor| {
        let linear = |channel: u8| {
            let value = f64::from(channel) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        let (r, g, b) = color.rgb();
        0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b)
    };
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}
