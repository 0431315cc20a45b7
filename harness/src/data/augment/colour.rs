//! Colour augmentations. Most of them are a lookup table from bytes to bytes.

use rand::seq::SliceRandom;
use rand::{Rng, RngExt};

use super::canvas::Canvas;
use super::crop::rounded;
use crate::config::data::ColorJitterConfig;

type Table = [u8; 256];

fn table(value: impl Fn(f32) -> f32) -> Table {
    // Like a conversion to bytes: truncated towards zero and clamped to the range of a byte.
    std::array::from_fn(|byte| value(byte as f32).clamp(0.0, 255.0) as u8)
}

fn look_up(values: &mut [u8], table: &Table) {
    for value in values {
        *value = table[usize::from(*value)];
    }
}

/// Linear blend: `factor * value + (1 - factor) * other`.
fn blend(value: f32, other: f32, factor: f64) -> f32 {
    factor as f32 * value + (1.0 - factor) as f32 * other
}

/// ITU-R BT.601 luminance with torchvision's coefficients, truncated to an integer.
fn grey([red, green, blue]: [u8; 3]) -> u8 {
    (0.2989 * f32::from(red) + 0.587 * f32::from(green) + 0.114 * f32::from(blue)) as u8
}

/// Black at factor 0, unchanged at 1.
pub(super) fn brightness(canvas: &mut Canvas, factor: f64) {
    look_up(&mut canvas.values, &table(|value| blend(value, 0.0, factor)));
}

/// The mean grey at factor 0, unchanged at 1.
pub(super) fn contrast(canvas: &mut Canvas, factor: f64) {
    let [red, green, blue] = canvas.planes();
    let greys = red.iter().zip(green).zip(blue).map(|((red, green), blue)| u64::from(grey([*red, *green, *blue])));
    let mean = greys.sum::<u64>() as f32 / red.len() as f32;
    look_up(&mut canvas.values, &table(|value| blend(value, mean, factor)));
}

/// Greyscale at factor 0, unchanged at 1.
pub(super) fn saturation(canvas: &mut Canvas, factor: f64) {
    let [red, green, blue] = canvas.planes_mut();
    for ((red, green), blue) in red.iter_mut().zip(green).zip(blue) {
        let grey = f32::from(grey([*red, *green, *blue]));
        for value in [red, green, blue] {
            *value = blend(f32::from(*value), grey, factor).clamp(0.0, 255.0) as u8;
        }
    }
}

/// Rotates the hue of every pixel by this fraction of the colour wheel, from -0.5 to 0.5.
pub(super) fn hue(canvas: &mut Canvas, turn: f64) {
    let [red, green, blue] = canvas.planes_mut();
    for ((red, green), blue) in red.iter_mut().zip(green).zip(blue) {
        let colour = turned([*red, *green, *blue].map(|value| f32::from(value) / 255.0), turn as f32);
        // As torchvision converts values from 0 to 1 to bytes: scaled by just under 256 and truncated.
        [*red, *green, *blue] = colour.map(|value| (value * 255.999) as u8);
    }
}

/// Rotates the hue of a colour and keeps its greatest and least value. The order of operations is torchvision's, because values are
/// truncated and the last bit can matter.
fn turned([red, green, blue]: [f32; 3], turn: f32) -> [f32; 3] {
    let (greatest, least) = (red.max(green).max(blue), red.min(green).min(blue));
    if greatest == least {
        return [red, green, blue];
    }
    let range = greatest - least;
    let saturation = range / greatest;
    let [from_red, from_green, from_blue] = [red, green, blue].map(|value| (greatest - value) / range);
    let sixths = if greatest == red {
        from_blue - from_green
    } else if greatest == green {
        2.0 + from_red - from_blue
    } else {
        4.0 + from_green - from_red
    };
    let hue = within_circle(within_circle(sixths / 6.0 + 1.0) + turn);
    let sector = (hue * 6.0) as u8;
    let part = hue * 6.0 - f32::from(sector);
    let value = |fall: f32| (greatest * (1.0 - fall)).clamp(0.0, 1.0);
    let (low, falling, rising) = (value(saturation), value(saturation * part), value(saturation * (1.0 - part)));
    match sector {
        1 => [falling, greatest, low],
        2 => [low, greatest, rising],
        3 => [low, falling, greatest],
        4 => [rising, low, greatest],
        5 => [greatest, low, falling],
        // Sector 0, or 6 if rounding completed the circle.
        _ => [greatest, rising, low],
    }
}

/// Wraps a position to the circle of length 1. It must be at most one turn away.
fn within_circle(place: f32) -> f32 {
    if place < 0.0 {
        place + 1.0
    } else if place >= 1.0 {
        place - 1.0
    } else {
        place
    }
}

/// Smoothed at factor 0, unchanged at 1. The border is not smoothed.
pub(super) fn sharpness(canvas: &mut Canvas, factor: f64) {
    let Canvas { size, values, spare, .. } = canvas;
    let size = *size;
    if size <= 2 {
        return;
    }
    for (source, target) in values.chunks_exact(size * size).zip(spare.chunks_exact_mut(size * size)) {
        target.copy_from_slice(source);
        for y in 1..size - 1 {
            let lines = [y - 1, y, y + 1].map(|row| &source[row * size..][..size]);
            for x in 1..size - 1 {
                let around = lines.map(|line| line[x - 1..=x + 1].iter().map(|value| u16::from(*value)).sum::<u16>());
                // The centre has weight five, its neighbours one each.
                let sum = around.iter().sum::<u16>() + 4 * u16::from(lines[1][x]);
                target[y * size + x] = rounded(f32::from(sum) / 13.0);
            }
        }
        for (smooth, value) in target.iter_mut().zip(source) {
            *smooth = blend(f32::from(*value), f32::from(*smooth), factor).clamp(0.0, 255.0) as u8;
        }
    }
    std::mem::swap(values, spare);
}

/// Keeps this many of the eight bits of every value.
pub(super) fn posterize(canvas: &mut Canvas, bits: u32) {
    let mask = !(0xff_u8.checked_shr(bits).unwrap_or(0));
    for value in &mut canvas.values {
        *value &= mask;
    }
}

/// Inverts values at or above the threshold.
pub(super) fn solarize(canvas: &mut Canvas, threshold: f64) {
    for value in &mut canvas.values {
        if f64::from(*value) >= threshold {
            *value = 255 - *value;
        }
    }
}

/// Stretches each channel to the full range from 0 to 255.
pub(super) fn autocontrast(canvas: &mut Canvas) {
    for plane in canvas.planes_mut() {
        let (least, greatest) = plane.iter().fold((255, 0), |(least, greatest), v| (least.min(*v), greatest.max(*v)));
        if least < greatest {
            let (least, scale) = (f32::from(least), 255.0 / (f32::from(greatest) - f32::from(least)));
            look_up(plane, &table(|value| (value - least) * scale));
        }
    }
}

/// Equalises the histogram of each channel.
pub(super) fn equalize(canvas: &mut Canvas) {
    for plane in canvas.planes_mut() {
        let mut counts = [0_usize; 256];
        for value in plane.iter() {
            counts[usize::from(*value)] += 1;
        }
        // The brightest value that occurs is left out.
        let last = counts.iter().rposition(|count| *count > 0).map_or(0, |last| counts[last]);
        let step = (plane.len() - last) / 255;
        if step == 0 {
            continue;
        }
        let mut below = 0;
        let table = std::array::from_fn(|value| {
            let level = if value == 0 { 0 } else { ((below + step / 2) / step).min(255) as u8 };
            below += counts[value];
            level
        });
        look_up(plane, &table);
    }
}

/// Changes brightness, contrast, saturation and hue by random amounts in random order.
pub(super) fn jitter(config: &ColorJitterConfig, canvas: &mut Canvas, rng: &mut impl Rng) {
    type Change = fn(&mut Canvas, f64);
    let ranges: [(Change, f32); 3] =
        [(brightness, config.brightness), (contrast, config.contrast), (saturation, config.saturation)];
    let changes = ranges.map(|(change, range)| {
        let range = f64::from(range);
        let low = (1.0 - range).max(0.0);
        (change, range, low + (1.0 + range - low) * rng.random::<f64>())
    });
    let mut changes = changes.to_vec();
    // Drawn last and only if enabled, so that without hue the draws match those of earlier versions, which had none.
    if config.hue > 0.0 {
        let range = f64::from(config.hue);
        changes.push((hue, range, range * (2.0 * rng.random::<f64>() - 1.0)));
    }
    changes.shuffle(rng);
    for (change, range, amount) in changes {
        if range > 0.0 {
            change(canvas, amount);
        }
    }
}
