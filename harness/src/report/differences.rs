//! The sections of the report about whether differences are real, as Markdown.

use super::format::{NONE, counted, magnitude, or_none, points};
use super::leads::{self, Lead, Leads};
use super::markdown::{Align, section, table};
use super::material::Material;
use super::names::{markdown, markdown_name};
use crate::results::{Noise, NoiseRecord};

/// Whether the lead in accuracy is more than chance.
pub(crate) fn leads(material: &Material<'_>) -> String {
    use Align::{Left, Right};
    let Some(Leads { leader, leads }) = leads::in_accuracy(&material.models, &material.evidence) else {
        return String::new();
    };
    let columns = [
        ("Model", Left),
        ("Behind by, points", Right),
        ("95 % interval", Right),
        ("p (Holm)", Right),
        ("Verdict", Left),
    ];
    let row = |lead: &Lead| {
        let name = markdown_name(material.models[lead.model].runs.model);
        match &lead.difference {
            Ok(difference) => vec![
                name,
                points(difference.value),
                format!("[{}, {}]", points(difference.interval.low), points(difference.interval.high)),
                or_none(lead.p, leads::p_value),
                if lead.is_more_than_chance { "less accurate" } else { "no difference shown" }.to_owned(),
            ],
            Err(why) => {
                let verdict = format!("not comparable: {}", markdown(&why.to_string()));
                vec![name, NONE.to_owned(), NONE.to_owned(), NONE.to_owned(), verdict]
            }
        }
    };
    let rows: Vec<_> = leads.iter().take(LEADS_SHOWN).map(row).collect();
    let mut text = format!(
        "Every model is compared with {}, image by image. {}\n\n{}",
        markdown_name(material.models[leader].runs.model),
        leads::METHOD,
        table(&columns, &rows)
    );
    if leads.len() > LEADS_SHOWN {
        text += &format!("\nThe {} models that are further behind are left out.\n", leads.len() - LEADS_SHOWN);
    }
    section("Is the difference real?", &text)
}

/// Maximum number of rows of that table.
const LEADS_SHOWN: usize = 30;

/// The A/A variation of the runs' machines, as far as it was measured.
pub(crate) fn noise(material: &Material<'_>) -> String {
    let used = |noise: &&NoiseRecord| material.evidence.sides.iter().any(|side| side.noise() == Some(*noise));
    let text = |noise: &NoiseRecord| {
        let percent = |noise: Noise| format!("{} %", magnitude(100.0 * noise.ratio()));
        format!(
            "repeated identical runs differ by up to {} in training, {} in inference and {} in latency (95 of 100 times; \
             {}, {} on {}, measured {})",
            percent(noise.train_step),
            percent(noise.inference),
            percent(noise.latency),
            markdown(&noise.cpu),
            counted(noise.threads, "thread"),
            markdown(&noise.device),
            markdown(&noise.measured)
        )
    };
    let texts: Vec<String> = material.noises.iter().filter(used).map(text).collect();
    let text = match (texts.is_empty(), material.noises.is_empty()) {
        (false, _) => texts.join("; "),
        (true, false) => {
            "measured only for another machine, device or number of threads than that of the runs".to_owned()
        }
        (true, true) => {
            "not measured (`vitbench noise` measures it), so there are no verdicts on the speeds of single runs"
                .to_owned()
        }
    };
    format!("- A/A variation of the machine: {text}.\n")
}
