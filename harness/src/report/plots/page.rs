//! Charts as parts of a page: SVG without a background, in the page's light or dark colours, and with hints.

use std::collections::HashMap;
use std::fmt::Write;

use plotters::prelude::SVGBackend;
use plotters::style::{Color, RGBColor, WHITE};

use super::canvas::{Hint, Letters, Sheet};
use super::chart::{Chart, draw, size};
use super::look::{FAINT_INK, GRID, INK, Look, PARTS, on_grounds};
use crate::error::Result;
use crate::report::names::html;

/// Colours and their names in the page's style sheet.
pub(crate) struct Colors {
    /// Keyed by plotters' notation for a colour.
    names: HashMap<String, String>,
    /// The names of the models' colours in the style sheet, with the colour on a light and on a dark background.
    models: Vec<(String, [String; 2])>,
}

impl Colors {
    /// The colours of the page and of the models.
    pub(crate) fn of(looks: &[Look]) -> Self {
        let own = [(INK, "ink"), (FAINT_INK, "muted"), (GRID, "grid"), (WHITE, "surface")];
        let mut names: HashMap<String, String> =
            own.iter().map(|(color, name)| (hex(*color), format!("var(--{name})"))).collect();
        let parts = PARTS.iter().enumerate().map(|(index, color)| (*color, format!("part{index}")));
        let models = looks.iter().enumerate().map(|(index, look)| (look.color, format!("m{index}")));
        let mut defined = Vec::new();
        for (color, name) in parts.chain(models) {
            names.entry(hex(color)).or_insert_with(|| format!("var(--{name})"));
            defined.push((name, on_grounds(color).map(hex)));
        }
        Self { names, models: defined }
    }

    /// Definitions for a style sheet: on a light (0) or a dark background (1).
    pub(crate) fn css(&self, ground: usize) -> String {
        let mut text = String::new();
        for (name, colors) in &self.models {
            write!(text, "--{name}:{};", colors[ground].to_lowercase()).expect("memory takes every byte");
        }
        text
    }

    /// Replaces every colour in the SVG by its name.
    fn name(&self, svg: &str) -> String {
        let mut text = String::with_capacity(svg.len());
        let mut rest = svg;
        // Quotes in texts are escaped, so these belong to attributes.
        while let Some(at) = rest.find("\"#") {
            let (before, from) = rest.split_at(at + 1);
            text += before;
            match from.get(..7).and_then(|color| self.names.get(color)) {
                Some(name) => {
                    text += name;
                    rest = &from[7..];
                }
                None => rest = from,
            }
        }
        text + rest
    }
}

fn hex(color: RGBColor) -> String {
    let (r, g, b) = color.rgb();
    format!("#{r:02X}{g:02X}{b:02X}")
}

/// The chart as an `svg` element that `label` describes.
pub(crate) fn render(chart: &impl Chart, colors: &Colors, label: &str) -> Result<String> {
    let (width, height) = size(chart, Sheet::Page);
    let mut text = String::new();
    let hints = draw(chart, SVGBackend::with_string(&mut text, (width, height)), Letters::Its, Sheet::Page)?;
    // The font, which the page sets, and the default opacity would take half of the bytes.
    let text = text.replace(" opacity=\"1\"", "").replace(" font-family=\"DejaVu Sans, Verdana, sans-serif\"", "");
    let body = text.split_once('>').map_or(text.as_str(), |(_, body)| body).trim_end();
    let body = body.strip_suffix("</svg>").unwrap_or(body);
    Ok(format!(
        "<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\">{}{}</svg>",
        html(label),
        colors.name(body),
        hint_elements(&hints)
    ))
}

fn hint_elements(hints: &[Hint]) -> String {
    let mut text = String::new();
    for Hint { from, to, text: hint } in hints {
        let (width, height) = ((to.0 - from.0).max(1), (to.1 - from.1).max(1));
        write!(
            text,
            "<rect class=\"hint\" x=\"{}\" y=\"{}\" width=\"{width}\" height=\"{height}\"><title>{}</title></rect>",
            from.0,
            from.1,
            html(hint)
        )
        .expect("memory takes every byte");
    }
    text
}
