//! What a run is given, what it reports while it works, and how it ends.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use burn::tensor::Device;

use super::position::EpochStats;
use super::step::Diverged;
use crate::architecture::ArchitectureConfig;
use crate::config::RunConfig;
use crate::data::Dataset;
use crate::error::Error;
use crate::lanes::Lanes;
use crate::measure::Machine;
use crate::results::{EpochRecord, FailureRecord, RunFolder, RunIdentity, RunRecord};

/// Everything that a run needs.
pub struct RunContext<'a> {
    /// Model, recipe and seed.
    pub config: &'a RunConfig,
    /// The images, which all runs of a plan share.
    pub dataset: &'a Dataset,
    /// The device to compute on, without autodiff.
    pub device: &'a Device,
    /// Lanes for training and evaluation.
    pub lanes: &'a Lanes,
    /// Lanes for what is timed after training: as many as the plan has threads, even if several runs train at once.
    pub timing_lanes: &'a Lanes,
    /// Locks that keep other processes from training while this one times.
    pub machine: &'a Machine,
    /// Number of runs that train at once.
    pub jobs: usize,
    /// Set when the run is to write a checkpoint and end.
    pub stop: &'a AtomicBool,
    /// Maximum time between two checkpoints.
    pub checkpoint_every: Duration,
    /// Where the records go.
    pub folder: &'a RunFolder,
    /// The identity that the run's records begin with.
    pub identity: RunIdentity,
    /// When the run began: before its images were read, if it reads them itself.
    pub started: Instant,
}

impl RunContext<'_> {
    /// The sizes of the run's model for the run's images.
    pub(super) fn architecture(&self) -> ArchitectureConfig {
        let Self { config, dataset, .. } = self;
        config.model.architecture.for_images(dataset.image_size, dataset.classes.len())
    }

    /// Whether the run was asked to stop.
    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// # Errors
    /// [`Ending::Interrupted`] if the run was asked to stop.
    pub(super) fn check_stop(&self) -> Flow<()> {
        if self.is_stopped() { Err(Ending::Interrupted) } else { Ok(()) }
    }
}

/// What happens during a run.
pub enum Event<'a> {
    /// Something worth a line in the run's log.
    Remark(&'a str),
    /// The run resumes from a checkpoint.
    Resumed {
        /// The epoch in progress, from 1.
        epoch: usize,
        /// The steps of this epoch that are complete.
        steps: usize,
    },
    /// A training step is complete.
    Step {
        /// The epoch in progress, from 1.
        epoch: usize,
        /// What its steps have computed so far.
        stats: &'a EpochStats,
    },
    /// An epoch is trained and evaluated.
    Epoch(&'a EpochRecord),
    /// Training is complete, and timing begins.
    Timing,
    /// The run is complete.
    Done(&'a RunRecord),
    /// The run failed.
    Failed(&'a FailureRecord),
}

/// How a run ended if there was no error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It has a record, of its completion or of its failure.
    Recorded,
    /// It was asked to stop, and can be resumed.
    Interrupted,
}

/// Why a run ended before it was complete.
#[derive(Debug)]
pub(super) enum Ending {
    /// A loss or gradient norm was not finite. The run has failed.
    Diverged(Diverged),
    /// It was asked to stop. The run can be resumed.
    Interrupted,
    /// A file could not be read or written. The run is neither complete nor failed.
    Error(Error),
}

/// The result of a part of a run that may be the last one.
pub(super) type Flow<T> = Result<T, Ending>;

impl From<Diverged> for Ending {
    fn from(diverged: Diverged) -> Self {
        Self::Diverged(diverged)
    }
}

impl From<Error> for Ending {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}
