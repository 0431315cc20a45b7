//! What a run shows while it works: a bar on a terminal, one line per epoch everywhere.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::config::RunConfig;
use crate::train::Event;

/// Shows the events of one run.
pub(super) struct Progress {
    bar: ProgressBar,
    label: String,
    epochs: usize,
    images: usize,
}

impl Progress {
    /// For a run of `config` over `images` training images. `position` is its place among the plan's runs, as "2/6".
    pub(super) fn new(config: &RunConfig, images: usize, position: &str) -> Self {
        let total = (config.train.epochs * images) as u64;
        // Hidden by indicatif itself where standard error is no terminal.
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
        let template = "{prefix} {bar:24} {percent:>3} %  {msg}  {eta} left";
        bar.set_style(ProgressStyle::with_template(template).expect("the template is well-formed"));
        let label = format!("[{position}] {} seed {}", config.model.name, config.seed);
        bar.set_prefix(label.clone());
        bar.enable_steady_tick(Duration::from_millis(500));
        Self { bar, label, epochs: config.train.epochs, images }
    }

    /// Shows one event.
    pub(super) fn on(&self, event: &Event<'_>) {
        match event {
            Event::Step { epoch, stats } => {
                self.bar.set_position(((epoch - 1) * self.images + stats.seen.images()) as u64);
                self.bar.set_message(format!(
                    "epoch {epoch}/{} loss {:.3} accuracy {:.1} %  {:.0} images/s",
                    self.epochs,
                    stats.seen.loss(),
                    100.0 * stats.seen.top1(),
                    self.bar.per_sec(),
                ));
            }
            Event::Epoch(epoch) => self.say(&format!(
                "{} epoch {:>3}/{}: train loss {:.3} {:5.1} %, {} loss {:.3} {:5.1} %, {:.0} images/s, {:.1} s",
                self.label,
                epoch.epoch,
                self.epochs,
                epoch.train_loss,
                100.0 * epoch.train_top1,
                epoch.split,
                epoch.eval_loss,
                100.0 * epoch.eval_top1,
                epoch.train_images_per_s,
                epoch.train_seconds + epoch.eval_seconds,
            )),
            Event::Timing => self.bar.set_message("timing training step, inference and latency"),
            Event::Done(record) => self.say(&format!("{} done: test {:.1} %", self.label, 100.0 * record.test_top1)),
            Event::Failed(record) => {
                self.say(&format!("{} failed in epoch {}: {}", self.label, record.epoch, record.message));
            }
        }
    }

    /// A line that stays, above the bar where there is one.
    fn say(&self, line: &str) {
        self.bar.suspend(|| println!("{line}"));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
