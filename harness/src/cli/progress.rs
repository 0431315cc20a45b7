//! Shows the progress of runs: one bar per run if there is a terminal, and one line per epoch in any case.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::runner::{Message, Notice, PlannedRun};

/// Shows what happens to runs.
pub(super) struct Progress {
    bars: MultiProgress,
    runs: Vec<Shown>,
}

struct Shown {
    label: String,
    /// While the run is in progress.
    bar: Option<ProgressBar>,
}

impl Progress {
    /// For these runs, numbered in this order.
    pub(super) fn new(runs: &[PlannedRun]) -> Self {
        let shown = |(index, run): (usize, &PlannedRun)| Shown {
            label: format!("[{}/{}] {} seed {}", index + 1, runs.len(), run.config.model.name, run.config.seed),
            bar: None,
        };
        // indicatif hides the bars if standard error is not a terminal.
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        Self { bars, runs: runs.iter().enumerate().map(shown).collect() }
    }

    /// Shows one event.
    pub(super) fn on(&mut self, notice: &Notice) {
        match notice {
            Notice::Started(run) => {
                let bar = self.bars.add(ProgressBar::new(0));
                let template = "{prefix} {bar:24} {percent:>3} %  {msg}  {eta} left";
                bar.set_style(ProgressStyle::with_template(template).expect("the template is well-formed"));
                bar.set_prefix(self.runs[*run].label.clone());
                bar.enable_steady_tick(Duration::from_millis(500));
                self.runs[*run].bar = Some(bar);
            }
            Notice::Said(run, Message::Progress { done, total, text }) => {
                if let Some(bar) = &self.runs[*run].bar {
                    if bar.length() == Some(0) {
                        // The steps of an earlier attempt say nothing about this one's speed.
                        bar.set_length(*total);
                        bar.set_position(*done);
                        bar.reset_eta();
                    }
                    bar.set_position(*done);
                    bar.set_message(text.clone());
                }
            }
            Notice::Said(run, Message::Line(line)) => {
                let label = &self.runs[*run].label;
                // Above the bars, where there are any.
                self.bars.suspend(|| println!("{label} {line}"));
            }
            Notice::Ended(run) => {
                if let Some(bar) = self.runs[*run].bar.take() {
                    bar.finish_and_clear();
                    self.bars.remove(&bar);
                }
            }
        }
    }
}
