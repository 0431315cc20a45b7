//! The `[report]` table: what the report needs for a verdict.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The `[report]` table of a config. Not part of a run's identity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReportConfig {
    /// Fewest completed runs of each model that a verdict on accuracy needs.
    pub min_runs: usize,
    /// Accuracies whose time to reach is reported, as fractions. Without them the report uses fractions of the best accuracy of any run,
    /// which are chosen in hindsight.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<f64>,
}

impl Default for ReportConfig {
    fn default() -> Self {
        Self { min_runs: 3, targets: Vec::new() }
    }
}

impl ReportConfig {
    pub(super) fn check(&self, place: &str) -> Result<()> {
        if self.min_runs < 2 {
            let problem =
                format!("must be at least 2, got {}: one run does not show how much runs differ", self.min_runs);
            return Err(Error::input(
                format!("{place}: report.min_runs"),
                problem,
                "set it to 3, the default, or more",
            ));
        }
        if let Some(target) = self.targets.iter().find(|target| !(**target > 0.0 && **target <= 1.0)) {
            let problem = format!("must be accuracies above 0 and up to 1, got {target}");
            return Err(Error::input(
                format!("{place}: report.targets"),
                problem,
                "write fractions such as [0.6, 0.7]",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_give_a_verdict_is_refused() {
        let error = |config: ReportConfig| config.check("x.toml").unwrap_err().to_string();
        assert!(
            error(ReportConfig { min_runs: 1, ..Default::default() }).contains("x.toml: report.min_runs: must be at")
        );
        for target in [0.0, 1.5, 70.0, f64::NAN] {
            let config = ReportConfig { targets: vec![0.5, target], ..Default::default() };
            assert!(error(config).contains("x.toml: report.targets: must be accuracies"));
        }
        assert!(ReportConfig::default().check("x.toml").is_ok());
    }
}
