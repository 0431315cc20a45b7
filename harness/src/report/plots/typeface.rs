//! DejaVu Sans: the widths of texts, and their letters as pixels.
//!
//! Plotters itself places letters at whole pixels and without their side bearings, which tears words apart. The font is part of the
//! program, so plots look the same on every machine.

use std::sync::OnceLock;

use ab_glyph::{Font, FontRef, PxScale, PxScaleFont, ScaleFont, point};

/// The font's name as the list of families in an SVG; Verdana has nearly the same widths.
pub(crate) const FAMILY: &str = "DejaVu Sans, Verdana, sans-serif";

/// Ratio of plotters' font size to the height of the em square.
const PLOTTERS_SIZE_PER_EM: f64 = 1.24;

/// A weight and a size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Typeface {
    /// Bold or regular.
    pub(crate) bold: bool,
    /// Size as plotters counts it, in pixels.
    pub(crate) size: f64,
}

/// A pixel of a letter: its position relative to the text, and the fraction of it that is covered.
pub(crate) type Ink = ((i32, i32), f32);

impl Typeface {
    /// From the height of the em square in pixels.
    pub(crate) fn of_em(em: i32, bold: bool) -> Self {
        Self { bold, size: f64::from(em) * PLOTTERS_SIZE_PER_EM }
    }

    /// Width of a line of text, in pixels.
    pub(crate) fn width(self, text: &str) -> f32 {
        self.glyphs(text).1
    }

    /// The pixels of a line of text that begins at the origin, with lowercase letters centred vertically on it.
    pub(crate) fn ink(self, text: &str) -> Vec<Ink> {
        let font = self.font();
        // The baseline is half the height of lowercase letters below the middle, as with SVG's "0.5ex".
        let x_height = font.outline_glyph(font.scaled_glyph('x')).map_or(0.0, |glyph| -glyph.px_bounds().min.y);
        let mut ink = Vec::new();
        for (mut glyph, x) in self.glyphs(text).0 {
            glyph.position = point(x, (x_height / 2.0).round());
            let Some(outline) = font.outline_glyph(glyph) else { continue };
            let (left, top) = (outline.px_bounds().min.x as i32, outline.px_bounds().min.y as i32);
            outline.draw(|x, y, coverage| ink.push(((left + x as i32, top + y as i32), coverage)));
        }
        ink
    }

    /// The glyphs of a text, each with its starting position, and the end of the last one.
    fn glyphs(self, text: &str) -> (Vec<(ab_glyph::Glyph, f32)>, f32) {
        let font = self.font();
        let (mut glyphs, mut x, mut last) = (Vec::new(), 0.0, None);
        for c in text.chars() {
            let glyph = font.scaled_glyph(c);
            x += last.map_or(0.0, |last| font.kern(last, glyph.id));
            last = Some(glyph.id);
            let advance = font.h_advance(glyph.id);
            glyphs.push((glyph, x));
            x += advance;
        }
        (glyphs, x)
    }

    fn font(self) -> PxScaleFont<&'static FontRef<'static>> {
        static FONTS: OnceLock<[FontRef<'static>; 2]> = OnceLock::new();
        let fonts = FONTS.get_or_init(|| {
            [dejavu::sans::regular(), dejavu::sans::bold()]
                .map(|bytes| FontRef::try_from_slice(bytes).expect("DejaVu Sans is a font"))
        });
        let font = &fonts[usize::from(self.bold)];
        let em = (self.size / PLOTTERS_SIZE_PER_EM) as f32;
        let units_per_em = font.units_per_em().expect("DejaVu Sans says its units");
        font.into_scaled(PxScale::from(em * font.height_unscaled() / units_per_em))
    }
}
