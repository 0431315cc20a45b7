//! Training: optimiser, gradients, steps, epochs, evaluation, checkpoints, timing, and a run from beginning to end.

mod average;
mod batch;
mod bits;
mod checkpoint;
mod context;
mod epoch;
mod evaluate;
mod evaluation;
mod fit;
mod forecast;
mod gradients;
mod learner;
mod muon;
pub mod optimizer;
mod position;
mod recompute;
mod run;
mod size;
mod step;
mod timing;

#[cfg(test)]
mod tests;

pub use batch::{Batch, MicroBatch};
pub use context::{Event, Outcome, RunContext};
pub use evaluation::{Evaluation, Prediction};
pub use forecast::{Forecast, StepCost, forecast};
pub(crate) use gradients::cross_entropy_sum;
pub use learner::Learner;
pub use position::EpochStats;
pub use run::run;
pub use size::model_size;
pub use step::{Diverged, StepOptions, StepResult, train_step};
pub use timing::TimingBench;
