//! Messages from a run in progress.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::config::RunConfig;
use crate::train::Event;

/// A message from a run. A worker sends them to its supervisor as lines of JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// A line for the log and the terminal.
    Line(String),
    /// How far the run has come.
    Progress {
        /// Training images seen in all epochs.
        done: u64,
        /// Training images of all epochs.
        total: u64,
        /// The state of the current epoch.
        text: String,
    },
}

/// Turns a run's events into messages. Progress is reported rarely enough to cost nothing.
pub(super) struct Reporter {
    epochs: usize,
    images: usize,
    last: Option<Instant>,
    /// When the current epoch began in this process, and how many of its images were seen before.
    epoch_start: (Instant, usize, usize),
}

/// Minimum time between two reports of progress.
const PROGRESS_SECONDS: f64 = 0.2;

impl Reporter {
    /// For a run of `config` over `images` training images.
    pub(super) fn new(config: &RunConfig, images: usize) -> Self {
        Self { epochs: config.train.epochs, images, last: None, epoch_start: (Instant::now(), 0, 0) }
    }

    /// The message for an event, if there is one.
    pub(super) fn message(&mut self, event: &Event<'_>) -> Option<Message> {
        match event {
            Event::Step { epoch, stats } => {
                if self.epoch_start.1 != *epoch {
                    self.epoch_start = (Instant::now(), *epoch, stats.seen.images());
                }
                if self.last.is_some_and(|last| last.elapsed().as_secs_f64() < PROGRESS_SECONDS) {
                    return None;
                }
                self.last = Some(Instant::now());
                let (start, _, before) = self.epoch_start;
                let rate = (stats.seen.images() - before) as f64 / start.elapsed().as_secs_f64();
                let text = format!(
                    "epoch {epoch}/{} loss {:.3} accuracy {:.1} %  {rate:.0} images/s",
                    self.epochs,
                    stats.seen.loss(),
                    100.0 * stats.seen.top1(),
                );
                Some(self.progress((epoch - 1) * self.images + stats.seen.images(), text))
            }
            Event::Timing => {
                Some(self.progress(self.epochs * self.images, "timing the parts of a training step".into()))
            }
            Event::Remark(text) => Some(Message::Line((*text).to_owned())),
            Event::Resumed { epoch, steps: 0 } => Some(Message::Line(format!("resumes with epoch {epoch}"))),
            Event::Resumed { epoch, steps } => {
                Some(Message::Line(format!("resumes in epoch {epoch}, after {steps} of its steps")))
            }
            Event::Epoch(epoch) => Some(Message::Line(format!(
                "epoch {:>3}/{}: train loss {:.3} {:5.1} %, {} loss {:.3} {:5.1} %, {:.0} images/s, {:.1} s",
                epoch.epoch,
                self.epochs,
                epoch.train_loss,
                100.0 * epoch.train_top1,
                epoch.split,
                epoch.eval_loss,
                100.0 * epoch.eval_top1,
                epoch.train_images_per_s,
                epoch.train_seconds + epoch.eval_seconds,
            ))),
            Event::Done(record) => Some(Message::Line(match record.test_top1 {
                Some(top1) => format!("done: test {:.1} %", 100.0 * top1),
                None => "done; the test set was not read".to_owned(),
            })),
            Event::Failed(record) => {
                Some(Message::Line(format!("failed in epoch {}: {}", record.epoch, record.message)))
            }
        }
    }

    fn progress(&self, done: usize, text: String) -> Message {
        Message::Progress { done: done as u64, total: (self.epochs * self.images) as u64, text }
    }
}
