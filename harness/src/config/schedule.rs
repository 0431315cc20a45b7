//! The `train.schedule` table.

use serde::{Deserialize, Serialize};

/// What is wrong with a value: its key, the problem, and what would be right.
type Mistake = (&'static str, String, &'static str);

/// The learning rate over the steps, epochs being real numbers here (step 5 of 10 in the first epoch is epoch 0.5).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum ScheduleConfig {
    /// `lr` throughout.
    #[default]
    Constant,
    /// `lr`, multiplied by `gamma` after every `every_epochs`.
    Step {
        /// Epochs between two changes.
        every_epochs: usize,
        /// Factor of each change.
        gamma: f64,
    },
    /// Linear from 0 to `lr` over the warm-up, then half a cosine wave down to `final_lr`.
    Cosine {
        /// Length of the warm-up.
        #[serde(default)]
        warmup_epochs: f64,
        /// Learning rate at the end.
        #[serde(default)]
        final_lr: f64,
    },
    /// Straight lines between points `[epoch, learning rate]`.
    PiecewiseLinear {
        /// The points, epochs ascending.
        points: Vec<[f64; 2]>,
    },
}

impl ScheduleConfig {
    /// The learning rate of the step that begins at `epoch` (real, from 0), of `epochs` in all. `peak` is the recipe's `lr`.
    pub(super) fn lr_at(&self, epoch: f64, peak: f64, epochs: usize) -> f64 {
        match self {
            Self::Constant => peak,
            Self::Step { every_epochs, gamma } => peak * gamma.powi((epoch / *every_epochs as f64).floor() as i32),
            Self::Cosine { warmup_epochs, .. } if epoch < *warmup_epochs => peak * epoch / warmup_epochs,
            Self::Cosine { warmup_epochs, final_lr } => {
                let progress = (epoch - warmup_epochs) / (epochs as f64 - warmup_epochs);
                final_lr + (peak - final_lr) * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
            }
            Self::PiecewiseLinear { points } => interpolate(points, epoch),
        }
    }

    /// The first value of the schedule, or of the recipe's `lr`, that is invalid for this number of epochs.
    pub(super) fn mistake(&self, lr: Option<f64>, epochs: usize) -> Option<Mistake> {
        match (self, lr) {
            (Self::PiecewiseLinear { points }, None) => mistake_in_points(points, epochs),
            (Self::PiecewiseLinear { .. }, Some(_)) => {
                Some(("lr", "the piecewise-linear schedule has its own".into(), "remove `lr`"))
            }
            (_, None) => Some(("lr", "missing".into(), "add the peak learning rate, such as `lr = 0.001`")),
            (_, Some(lr)) if !(lr >= 0.0 && lr.is_finite()) => {
                Some(("lr", format!("must be at least 0, got {lr}"), "set it to a number such as 0.001"))
            }
            (Self::Step { every_epochs: 0, .. }, _) => {
                Some(("schedule.every_epochs", "must be at least 1, got 0".into(), "set it to 1 or more"))
            }
            (Self::Step { gamma, .. }, _) if !(*gamma > 0.0 && gamma.is_finite()) => {
                Some(("schedule.gamma", format!("must be above 0, got {gamma}"), "set it to a number such as 0.7"))
            }
            (Self::Cosine { final_lr, .. }, _) if !(*final_lr >= 0.0 && final_lr.is_finite()) => Some((
                "schedule.final_lr",
                format!("must be at least 0, got {final_lr}"),
                "set it to a number such as 0.0",
            )),
            (Self::Cosine { warmup_epochs, .. }, _) if !(0.0..epochs.max(1) as f64).contains(warmup_epochs) => Some((
                "schedule.warmup_epochs",
                format!("must be at least 0 and below `train.epochs` = {epochs}, got {warmup_epochs}"),
                "shorten the warm-up, or train longer",
            )),
            _ => None,
        }
    }
}

fn mistake_in_points(points: &[[f64; 2]], epochs: usize) -> Option<Mistake> {
    if let Some([end, 0.0]) = points.last()
        && *end < epochs as f64
    {
        return Some((
            "schedule.points",
            format!("the learning rate is 0 from epoch {end} on, but `train.epochs` is {epochs}"),
            "stretch the points over all epochs, or train fewer",
        ));
    }
    let ascending = points.windows(2).all(|pair| pair[0][0] < pair[1][0]);
    let sound = !points.is_empty() && ascending && points.iter().flatten().all(|v| *v >= 0.0 && v.is_finite());
    (!sound).then(|| {
        (
            "schedule.points",
            format!("must be points with ascending epochs, got {points:?}"),
            "write `[[0, 0.0], [10, 0.01], [25, 0.0]]`: epoch, learning rate",
        )
    })
}

fn interpolate(points: &[[f64; 2]], x: f64) -> f64 {
    match points.iter().position(|point| point[0] > x) {
        Some(0) => points[0][1],
        None => points.last().map_or(0.0, |point| point[1]),
        Some(next) => {
            let ([x0, y0], [x1, y1]) = (points[next - 1], points[next]);
            y0 + (y1 - y0) * (x - x0) / (x1 - x0)
        }
    }
}
