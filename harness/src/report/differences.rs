//! The sections of the report about whether differences are real, as Markdown.

use super::format::{NONE, points};
use super::leads::{self, Lead, Leads};
use super::markdown::{Align, section, table};
use super::material::Material;
use super::names::{markdown, markdown_name};
use super::power;
use crate::stats::Interval;

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
        ("Adjusted interval", Right),
        ("p (Holm)", Right),
        ("Verdict", Left),
    ];
    let interval = |Interval { low, high }: Interval| format!("[{}, {}]", points(low), points(high));
    let row = |lead: &Lead| {
        let name = markdown_name(material.models[lead.model].runs.model);
        let verdict = markdown(&lead.verdict());
        match (&lead.comparison, lead.these_two_runs) {
            (Ok(comparison), _) => vec![
                name,
                points(comparison.estimate.value),
                interval(comparison.interval()),
                interval(comparison.adjusted()),
                leads::p_value(comparison.p),
                verdict,
            ],
            (Err(_), Some(these)) => vec![
                name,
                format!("{} (these two runs)", points(these.value)),
                format!("{} (these two runs)", interval(these.interval)),
                NONE.to_owned(),
                NONE.to_owned(),
                verdict,
            ],
            (Err(_), None) => {
                vec![name, NONE.to_owned(), NONE.to_owned(), NONE.to_owned(), NONE.to_owned(), verdict]
            }
        }
    };
    let rows: Vec<_> = leads.iter().take(LEADS_SHOWN).map(row).collect();
    let mut text = format!(
        "Every model is compared with {}, image by image. {}\n\n{}",
        markdown_name(material.models[leader].runs.model),
        method(&leads),
        table(&columns, &rows)
    );
    if leads.len() > LEADS_SHOWN {
        text += &format!("\nThe {} models that are further behind are left out.\n", leads.len() - LEADS_SHOWN);
    }
    if let Some(power) = power::of_report(material) {
        text += &format!("\n{power}\n");
    }
    section("Is the difference real?", &text)
}

/// How the leads were tested.
pub(crate) fn method(leads: &[Lead]) -> String {
    let (tested, single) =
        (leads.iter().any(|lead| lead.comparison.is_ok()), leads.iter().any(|lead| lead.these_two_runs.is_some()));
    let single = single && leads.iter().any(|lead| lead.comparison.is_err());
    let texts = [tested.then_some(leads::METHOD), single.then_some(leads::THESE_RUNS)];
    texts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// Maximum number of rows of that table.
const LEADS_SHOWN: usize = 30;
