//! Places labels next to points so that they cover neither points nor each other.

use super::canvas::Point;

/// A rectangle in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rect {
    /// Left edge.
    pub(crate) left: i32,
    /// Upper edge.
    pub(crate) top: i32,
    /// Right edge.
    pub(crate) right: i32,
    /// Lower edge.
    pub(crate) bottom: i32,
}

impl Rect {
    /// The rectangle around two points and `room` more on every side.
    pub(crate) fn around(a: Point, b: Point, room: i32) -> Self {
        Self {
            left: a.0.min(b.0) - room,
            top: a.1.min(b.1) - room,
            right: a.0.max(b.0) + room,
            bottom: a.1.max(b.1) + room,
        }
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.left < other.right && other.left < self.right && self.top < other.bottom && other.top < self.bottom
    }

    fn contains(&self, other: &Self) -> bool {
        self.left <= other.left && self.top <= other.top && other.right <= self.right && other.bottom <= self.bottom
    }
}

/// Directions that are tried in turn, in units of the distance from the point.
const DIRECTIONS: [(f64, f64); 8] =
    [(1.0, -0.6), (1.0, 0.6), (-1.0, -0.6), (-1.0, 0.6), (0.0, -1.0), (0.0, 1.0), (1.0, 0.0), (-1.0, 0.0)];

/// Distances that are tried in turn, in pixels.
const DISTANCES: [f64; 7] = [24.0, 44.0, 70.0, 104.0, 150.0, 210.0, 290.0];

/// A place for each label of `sizes` (width and height) near its point and inside `bounds`, clear of `obstacles` and of the labels
/// before it, and of `lines` if possible; `None` if there is no such place.
pub(crate) fn place(
    points: &[Point],
    sizes: &[(i32, i32)],
    bounds: Rect,
    obstacles: &[Rect],
    lines: &[Rect],
) -> Vec<Option<Rect>> {
    let mut taken = obstacles.to_vec();
    let mut places = Vec::new();
    for (point, size) in points.iter().zip(sizes) {
        let candidates = || {
            DISTANCES.iter().flat_map(|distance| {
                DIRECTIONS.iter().map(move |direction| candidate(*point, *size, *direction, *distance))
            })
        };
        let fits = |place: &Rect| bounds.contains(place) && !taken.iter().any(|other| other.overlaps(place));
        let is_clear = |place: &Rect| fits(place) && !lines.iter().any(|line| line.overlaps(place));
        let place = candidates().find(is_clear).or_else(|| candidates().find(fits));
        taken.extend(place);
        places.push(place);
    }
    places
}

/// The label whose nearest edge or corner lies in `direction` from the point.
fn candidate(point: Point, (width, height): (i32, i32), (dx, dy): (f64, f64), distance: f64) -> Rect {
    let x = point.0 + (dx * distance).round() as i32;
    let y = point.1 + (dy * distance).round() as i32;
    let left = if dx > 0.0 {
        x
    } else if dx < 0.0 {
        x - width
    } else {
        x - width / 2
    };
    let top = y - height / 2;
    Rect { left, top, right: left + width, bottom: top + height }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_cover_nothing() {
        let bounds = Rect { left: 0, top: 0, right: 1000, bottom: 800 };
        let points: Vec<Point> = (0..12).map(|i| (450 + 10 * (i % 4), 390 + 12 * (i / 4))).collect();
        let obstacles: Vec<Rect> = points.iter().map(|point| Rect::around(*point, *point, 8)).collect();
        let places = place(&points, &[(120, 30); 12], bounds, &obstacles, &[]);
        let placed: Vec<Rect> = places.into_iter().flatten().collect();
        assert_eq!(placed.len(), 12);
        for (index, label) in placed.iter().enumerate() {
            assert!(bounds.contains(label));
            assert!(!obstacles.iter().chain(&placed[..index]).any(|other| other.overlaps(label)), "{index}: {label:?}");
        }
    }

    #[test]
    fn lines_are_crossed_only_where_nothing_else_is_left() {
        let bounds = Rect { left: 0, top: 0, right: 400, bottom: 400 };
        let half = Rect { left: 200, ..bounds };
        let at = |lines: &[Rect]| place(&[(200, 200)], &[(60, 30)], bounds, &[], lines)[0].expect("there is room");
        assert!(at(&[]).left > 200 && at(&[half]).right < 200 && at(&[bounds]) == at(&[]));
    }

    #[test]
    fn a_label_without_room_is_left_out() {
        let bounds = Rect { left: 0, top: 0, right: 100, bottom: 100 };
        assert_eq!(place(&[(50, 50)], &[(200, 30)], bounds, &[], &[]), [None]);
    }
}
