//! Steps at the pace of another program, which alternates between this suite and others.

use std::io::BufRead;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::benches::{Benches, median_step_s};
use crate::config::{TimedModel, TimingPlan};
use crate::error::Result;
use crate::lanes::Lanes;
use crate::measure::program_version;
use crate::results::{Timed, TimingMode};
use crate::train::model_size;

/// A sample that the other program asks for, as a line of JSON.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    model: String,
    mode: TimingMode,
    batch_size: usize,
    /// Steps before those that count.
    #[serde(default)]
    untimed_steps: u32,
    steps: u32,
}

/// What this program says to the other one, as lines of JSON.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum PacedMessage {
    /// It is ready for requests.
    Ready {
        /// Its version.
        version: String,
        /// The models that can be asked for.
        models: Vec<PacedModel>,
    },
    /// The answer to a request.
    Sample {
        /// Median time of a step, in seconds.
        step_s: f64,
    },
    /// The answer to a request that cannot be carried out.
    Error {
        /// What is wrong with it.
        error: String,
    },
}

/// A model that can be asked for.
#[derive(Debug, Serialize)]
pub struct PacedModel {
    model: String,
    params: usize,
}

/// Says what the models of `plan` are, and then carries out one request after the other, until there are no more.
///
/// # Errors
/// If a model's loss or gradients are not finite.
pub fn time_paced(
    plan: &TimingPlan,
    device: &Device,
    lanes: &Lanes,
    requests: impl BufRead,
    say: &mut dyn FnMut(PacedMessage),
) -> Result<()> {
    let paced = |timed: &TimedModel| PacedModel {
        model: timed.model.name.clone(),
        params: model_size(&timed.model.architecture).params,
    };
    say(PacedMessage::Ready { version: program_version(), models: plan.models.iter().map(paced).collect() });
    let mut benches = Benches::new(plan.device, &plan.models, device);
    for line in requests.lines().map_while(std::result::Result::ok) {
        say(match checked(&line, plan) {
            Ok((model, Request { mode, batch_size, untimed_steps, steps, .. })) => {
                let timed = Timed { mode, batch_size };
                let step_s = benches.with(model, |bench| median_step_s(bench, timed, lanes, untimed_steps, steps))?;
                PacedMessage::Sample { step_s }
            }
            Err(error) => PacedMessage::Error { error },
        });
    }
    Ok(())
}

/// A request and the number of its model, or what is wrong with it.
fn checked(line: &str, plan: &TimingPlan) -> std::result::Result<(usize, Request), String> {
    let request: Request = serde_json::from_str(line).map_err(|error| error.to_string())?;
    if request.batch_size == 0 || request.steps == 0 {
        return Err("batch_size and steps must be at least 1".to_owned());
    }
    let model = plan.models.iter().position(|timed| timed.model.name == request.model);
    let model = model.ok_or_else(|| {
        let names: Vec<&str> = plan.models.iter().map(|timed| timed.model.name.as_str()).collect();
        format!("there is no model `{}`; the models are {}", request.model, names.join(", "))
    })?;
    Ok((model, request))
}
