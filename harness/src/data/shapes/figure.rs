//! The ten figures, each inside the unit circle around the origin.

/// A class of the dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Figure {
    Bar,
    Bars,
    BowTie,
    Crescent,
    Cross,
    Disc,
    Ell,
    Ring,
    Star,
    Triangle,
}

/// Two triangles that touch at a narrow waist.
const BOW_TIE: [[f32; 2]; 6] = [[-0.78, -0.62], [0.0, -0.1], [0.78, -0.62], [0.78, 0.62], [0.0, 0.1], [-0.78, 0.62]];

/// Two strokes that meet at a right angle.
const ELL: [[f32; 2]; 6] = [[-0.5, -0.85], [-0.08, -0.85], [-0.08, 0.38], [0.6, 0.38], [0.6, 0.8], [-0.5, 0.8]];

/// Five points at radius 1 and five between them at radius 0.45.
const STAR: [[f32; 2]; 10] = [
    [0.0, -1.0],
    [0.264_5, -0.364_1],
    [0.951_1, -0.309],
    [0.428, 0.139_1],
    [0.587_8, 0.809],
    [0.0, 0.45],
    [-0.587_8, 0.809],
    [-0.428, 0.139_1],
    [-0.951_1, -0.309],
    [-0.264_5, -0.364_1],
];

/// An equilateral triangle.
const TRIANGLE: [[f32; 2]; 3] = [[0.0, -1.0], [0.866, 0.5], [-0.866, 0.5]];

impl Figure {
    /// Every figure, in the order of the labels.
    pub(super) const ALL: [Self; 10] = [
        Self::Bar,
        Self::Bars,
        Self::BowTie,
        Self::Crescent,
        Self::Cross,
        Self::Disc,
        Self::Ell,
        Self::Ring,
        Self::Star,
        Self::Triangle,
    ];

    /// The name of the class.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bar => "bar",
            Self::Bars => "bars",
            Self::BowTie => "bow_tie",
            Self::Crescent => "crescent",
            Self::Cross => "cross",
            Self::Disc => "disc",
            Self::Ell => "ell",
            Self::Ring => "ring",
            Self::Star => "star",
            Self::Triangle => "triangle",
        }
    }

    /// Whether the figure covers this point, in coordinates in which the figure has radius 1.
    pub(super) fn covers(self, [x, y]: [f32; 2]) -> bool {
        let square_radius = x * x + y * y;
        if square_radius > 1.0 {
            return false;
        }
        let [along, across] = [x.abs(), y.abs()];
        match self {
            Self::Bar => along < 0.95 && across < 0.28,
            // Two bars, side by side.
            Self::Bars => along < 0.7 && across > 0.25 && across < 0.7,
            Self::BowTie => inside(&BOW_TIE, [x, y]),
            Self::Crescent => (x - 0.45) * (x - 0.45) + y * y > 0.75 * 0.75,
            Self::Cross => along.min(across) < 0.24 && along.max(across) < 0.95,
            Self::Disc => square_radius < 0.85 * 0.85,
            Self::Ell => inside(&ELL, [x, y]),
            Self::Ring => square_radius > 0.5 * 0.5 && square_radius < 0.9 * 0.9,
            Self::Star => inside(&STAR, [x, y]),
            Self::Triangle => inside(&TRIANGLE, [x, y]),
        }
    }
}

/// Whether a polygon contains a point: a ray to the right then crosses an odd number of edges.
fn inside(corners: &[[f32; 2]], [x, y]: [f32; 2]) -> bool {
    let mut parity = false;
    let mut previous = corners[corners.len() - 1];
    for &corner in corners {
        let ([x0, y0], [x1, y1]) = (previous, corner);
        if (y0 > y) != (y1 > y) && x < x0 + (x1 - x0) * (y - y0) / (y1 - y0) {
            parity = !parity;
        }
        previous = corner;
    }
    parity
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The area of a figure, by sampling the square around the unit circle.
    fn area(figure: Figure) -> f32 {
        const STEPS: i32 = 400;
        let at = |i: i32| (i as f32 + 0.5) / STEPS as f32 * 2.0 - 1.0;
        let covered = (0..STEPS * STEPS).filter(|i| figure.covers([at(i % STEPS), at(i / STEPS)])).count();
        covered as f32 * 4.0 / (STEPS * STEPS) as f32
    }

    #[test]
    fn areas_are_those_of_the_geometry() {
        use std::f32::consts::PI;
        for (figure, expected) in [
            (Figure::Disc, PI * 0.85 * 0.85),
            (Figure::Ring, PI * (0.9 * 0.9 - 0.5 * 0.5)),
            (Figure::Bar, 1.9 * 0.56),
            (Figure::Bars, 2.0 * 1.4 * 0.45),
            (Figure::Cross, 2.0 * 0.48 * 1.9 - 0.48 * 0.48),
            (Figure::Triangle, 0.866 * 1.5),
            (Figure::Star, 10.0 * 0.5 * 0.45 * (PI / 5.0).sin()),
            (Figure::Ell, 0.42 * 1.65 + 0.68 * 0.42),
            (Figure::BowTie, 0.78 * 2.0 * (0.62 + 0.1)),
        ] {
            assert!((area(figure) - expected).abs() < 0.02, "{figure:?}: {} against {expected}", area(figure));
        }
    }

    #[test]
    fn labels_are_the_alphabetical_order_of_the_names() {
        assert!(Figure::ALL.map(Figure::name).is_sorted());
    }
}
