//! Draws one image: a figure on a background, with clutter and noise.

use rand::{Rng, RngExt};

use super::figure::Figure;

/// Samples along each side of a pixel. A pixel is the mean of its samples.
const SUPERSAMPLING: usize = 3;

/// Maximum noise per channel, on a scale to 255. It is the mean of two uniform draws, so its distribution is triangular.
const NOISE: i32 = 16;

type Colour = [f32; 3];

/// An image without its noise, in coordinates from 0 to 1, so that it looks the same at any size.
pub(super) struct Scene {
    background: Background,
    clutter: Vec<Stroke>,
    figure: Figure,
    colour: Colour,
    centre: [f32; 2],
    /// Cosine and sine of the figure's angle, divided by its radius. They transform a point into the figure's coordinates.
    turn: [f32; 2],
}

/// Two colours, mixed by the distance along a direction.
struct Background {
    colours: [Colour; 2],
    direction: [f32; 2],
    /// Number of stripes per unit of distance, or `None` for a gradient.
    stripes: Option<f32>,
    /// Offset of the stripes, in stripes. It exceeds any distance, so that the sum is positive.
    phase: f32,
}

/// A short bar, or a blob if it is hardly longer than wide.
struct Stroke {
    middle: [f32; 2],
    direction: [f32; 2],
    half_length: f32,
    half_width: f32,
    colour: Colour,
}

impl Scene {
    /// Makes all random choices. None of them depends on the figure, so only its shape reveals the class.
    pub(super) fn random(figure: Figure, rng: &mut impl Rng) -> Self {
        let (colour, background) = contrasting_colours(rng);
        let radius = rng.random_range(0.24..0.4);
        Self {
            background: Background {
                colours: background,
                direction: direction(rng),
                stripes: rng.random_bool(0.5).then(|| rng.random_range(4.0..10.0)),
                phase: rng.random_range(10.0..12.0),
            },
            clutter: (0..rng.random_range(3..6)).map(|_| Stroke::random(rng)).collect(),
            figure,
            colour,
            centre: [rng.random_range(radius..1.0 - radius), rng.random_range(radius..1.0 - radius)],
            turn: leaning(rng).map(|part| part / radius),
        }
    }

    /// Writes the image into `out`, `[size, size, 3]`.
    pub(super) fn draw(&self, size: usize, rng: &mut impl Rng, out: &mut [u8]) {
        let step = 1.0 / (size * SUPERSAMPLING) as f32;
        for (pixel, rgb) in out.chunks_exact_mut(3).enumerate() {
            let (row, column) = (pixel / size, pixel % size);
            let mut sum = [0.0; 3];
            for sample in 0..SUPERSAMPLING * SUPERSAMPLING {
                let x = (column * SUPERSAMPLING + sample % SUPERSAMPLING) as f32 + 0.5;
                let y = (row * SUPERSAMPLING + sample / SUPERSAMPLING) as f32 + 0.5;
                let colour = self.at([x * step, y * step]);
                sum = [sum[0] + colour[0], sum[1] + colour[1], sum[2] + colour[2]];
            }
            for (channel, sum) in rgb.iter_mut().zip(sum) {
                let mean = sum * (255.0 / (SUPERSAMPLING * SUPERSAMPLING) as f32);
                let noise = rng.random_range(-NOISE..=NOISE) + rng.random_range(-NOISE..=NOISE);
                *channel = ((mean + 0.5) as i32 + noise / 2).clamp(0, 255) as u8;
            }
        }
    }

    /// The colour of a point.
    fn at(&self, point: [f32; 2]) -> Colour {
        let [x, y] = [point[0] - self.centre[0], point[1] - self.centre[1]];
        let [cos, sin] = self.turn;
        if self.figure.covers([x * cos + y * sin, y * cos - x * sin]) {
            return self.colour;
        }
        match self.clutter.iter().find(|stroke| stroke.covers(point)) {
            Some(stroke) => stroke.colour,
            None => self.background.at(point),
        }
    }
}

impl Background {
    fn at(&self, [x, y]: [f32; 2]) -> Colour {
        // In the unit square, distances from the centre along a direction range from -sqrt(1/2) to sqrt(1/2).
        let distance = (x - 0.5) * self.direction[0] + (y - 0.5) * self.direction[1];
        let share = match self.stripes {
            Some(stripes) => f32::from((distance * stripes + self.phase) as u8 % 2),
            None => distance * std::f32::consts::FRAC_1_SQRT_2 + 0.5,
        };
        std::array::from_fn(|i| self.colours[0][i] + (self.colours[1][i] - self.colours[0][i]) * share)
    }
}

impl Stroke {
    fn random(rng: &mut impl Rng) -> Self {
        Self {
            middle: [rng.random(), rng.random()],
            direction: direction(rng),
            half_length: rng.random_range(0.02..0.1),
            half_width: rng.random_range(0.015..0.035),
            colour: [rng.random(), rng.random(), rng.random()],
        }
    }

    fn covers(&self, [x, y]: [f32; 2]) -> bool {
        let ([x, y], [dx, dy]) = ([x - self.middle[0], y - self.middle[1]], self.direction);
        (x * dx + y * dy).abs() < self.half_length && (x * dy - y * dx).abs() < self.half_width
    }
}

/// A figure's colour, and two background colours that are clearly darker.
fn contrasting_colours(rng: &mut impl Rng) -> (Colour, [Colour; 2]) {
    /// Minimum difference in brightness, on a scale from 0 to 1.
    const CONTRAST: f32 = 0.35;
    loop {
        let [figure, a, other]: [Colour; 3] = std::array::from_fn(|_| [rng.random(), rng.random(), rng.random()]);
        // Only halfway to the other colour, so that stripes do not obscure the figure's outline.
        let b = std::array::from_fn(|i| 0.5 * (a[i] + other[i]));
        if [a, b].into_iter().all(|background| brightness(figure) - brightness(background) > CONTRAST) {
            return (figure, [a, b]);
        }
    }
}

fn brightness([red, green, blue]: Colour) -> f32 {
    0.3 * red + 0.59 * green + 0.11 * blue
}

/// A uniformly random unit vector. It is drawn by rejection, because the system's sine and cosine may differ in the last bit between
/// machines.
fn direction(rng: &mut impl Rng) -> [f32; 2] {
    loop {
        let [x, y] = [rng.random_range(-1.0..1.0_f32), rng.random_range(-1.0..1.0_f32)];
        let square = x * x + y * y;
        if (0.01..1.0).contains(&square) {
            return [x / square.sqrt(), y / square.sqrt()];
        }
    }
}

/// Cosine and sine of an angle between -45 and 45 degrees, nearly uniform.
fn leaning(rng: &mut impl Rng) -> [f32; 2] {
    // The tangent of half the angle gives both without a trigonometric function.
    let tangent: f32 = rng.random_range(-0.4142..0.4142);
    let square = tangent * tangent;
    [(1.0 - square) / (1.0 + square), 2.0 * tangent / (1.0 + square)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use layers::random::{Purpose, stream};

    #[test]
    fn the_figure_stands_out_and_lies_within_the_image() {
        for index in 0..200 {
            let scene = Scene::random(Figure::Disc, &mut stream(Purpose::Shapes, [1, 2, index]));
            let difference = |colour| brightness(scene.colour) - brightness(colour);
            assert!(scene.background.colours.into_iter().all(|colour| difference(colour) > 0.35));
            let radius = 1.0 / (scene.turn[0] * scene.turn[0] + scene.turn[1] * scene.turn[1]).sqrt();
            assert!((0.2..0.41).contains(&radius), "{radius}");
            for place in scene.centre {
                assert!(place - radius > -1e-5 && place + radius < 1.0 + 1e-5, "{place} and {radius}");
            }
            assert_eq!(scene.at(scene.centre), scene.colour);
        }
    }

    #[test]
    fn a_scene_looks_alike_at_any_size() {
        let scene = Scene::random(Figure::Triangle, &mut stream(Purpose::Shapes, [1, 2, 3]));
        let mut small = vec![0; 16 * 16 * 3];
        let mut large = vec![0; 64 * 64 * 3];
        scene.draw(16, &mut stream(Purpose::Shapes, [0; 3]), &mut small);
        scene.draw(64, &mut stream(Purpose::Shapes, [0; 3]), &mut large);
        let block = |row: usize, column: usize| {
            let sum: u32 = (0..16).map(|i| u32::from(large[((row * 4 + i / 4) * 64 + column * 4 + i % 4) * 3])).sum();
            f64::from(sum) / 16.0
        };
        let differences = (0..256).map(|i| (f64::from(small[i * 3]) - block(i / 16, i % 16)).abs());
        assert!(differences.sum::<f64>() / 256.0 < f64::from(NOISE), "the mean difference exceeds the noise");
    }
}
