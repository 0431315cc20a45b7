//! Training: lanes, optimiser, steps, epochs, evaluation, and a run from beginning to end.

mod average;
mod checkpoint;
mod epoch;
mod evaluate;
mod fit;
mod forecast;
mod kept;
mod learner;
pub mod optimizer;
mod recompute;
mod run;
mod size;
mod step;
mod timing;

#[cfg(test)]
mod tests;

pub use epoch::{EpochStart, EpochStats, evaluate, train_epoch};
pub use evaluate::{Evaluation, Prediction};
pub use forecast::{Forecast, StepCost, forecast};
pub use learner::Learner;
pub use run::{Event, Outcome, RunContext, run};
pub use size::model_size;
pub use step::{Batch, Diverged, MicroBatch, StepOptions, StepResult, train_step};
pub use timing::TimingBench;
