//! Plots are drawn in both formats, name their models, and leave out what is missing or not finite.

use super::*;
use crate::report::figures;
use crate::results::fixture::{self, Model};
use crate::results::{ResultsFolder, Run, Stage};

fn runs(folder: &ResultsFolder) -> Vec<Run> {
    folder.read_runs(&fixture::order()).unwrap().ended
}

/// The plots that have files.
fn files() -> impl Iterator<Item = &'static Plot> {
    PLOTS.iter().filter(|plot| plot.in_markdown.is_some())
}

fn svgs(runs: &[Run]) -> Vec<Option<String>> {
    let figures = figures::of_models(runs, &Stage::default());
    let content = Content::new(&figures, &[]);
    let svg = |plot: &Plot| plot.render(&content, Format::Svg).unwrap().map(|bytes| String::from_utf8(bytes).unwrap());
    files().map(svg).collect()
}

/// Model `index` of a family, with figures that spread over three powers of ten.
fn member(index: usize) -> Model {
    Model {
        name: format!("member-{index:02}"),
        run: format!("member-{index:02}"),
        architecture: ["vit", "linformer", "conv_vit", "swin"][index % 4],
        params: 20_000 * (index + 1) * (index + 1),
        top1: 0.5 + 0.01 * ((index * 17) % 40) as f64,
        images_per_s: 20.0 * 1.2_f64.powi((index * 7 % 40) as i32),
    }
}

#[test]
fn all_plots_are_drawn_in_both_formats() {
    let (_temporary, folder) = fixture::folder();
    let runs = runs(&folder);
    for svg in svgs(&runs) {
        let svg = svg.expect("a plot");
        assert!(svg.starts_with("<svg width=\"800\"") && svg.ends_with("</svg>\n"), "{svg}");
    }
    let figures = figures::of_models(&runs, &Stage::default());
    let accuracy = PLOTS.iter().find(|plot| plot.id == "accuracy").unwrap();
    let png = accuracy.render(&Content::new(&figures, &[]), Format::Png).unwrap().unwrap();
    assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
    // The header says width, then height: 104 above the rows, 112 for each of three, 118 below.
    assert_eq!((&png[16..20], &png[20..24]), (&1600_u32.to_be_bytes()[..], &558_u32.to_be_bytes()[..]));
}

#[test]
fn every_plot_is_shown_somewhere_and_none_shares_its_id() {
    let ids: std::collections::HashSet<&str> = PLOTS.iter().map(|plot| plot.id).collect();
    assert_eq!(ids.len(), PLOTS.len());
    for plot in PLOTS {
        assert!(plot.in_markdown.is_some() || plot.in_page.is_some(), "{}", plot.id);
    }
}

#[test]
fn a_plot_names_its_models_and_their_figures() {
    let (_temporary, folder) = fixture::folder();
    let accuracy = svgs(&runs(&folder))[2].take().unwrap();
    for text in
        ["vit-tiny", "conv_vit", "73.6 %", "72.1 %", "79.4 %", "Test accuracy (top-1), % (tall ticks: single seeds)"]
    {
        assert!(accuracy.contains(&format!("\n{text}\n")), "{text}");
    }
}

#[test]
fn forty_models_get_their_rows_and_names() {
    let (_temporary, folder) = fixture::empty_folder();
    for index in 0..40 {
        fixture::add_done(&folder, &member(index), 0, 3);
    }
    for svg in svgs(&runs(&folder)) {
        let svg = svg.expect("a plot");
        assert_eq!(svg.matches("\nmember-").count(), 40);
    }
}

#[test]
fn one_model_and_one_epoch_are_enough() {
    let (_temporary, folder) = fixture::empty_folder();
    fixture::add_done(&folder, &member(0), 0, 1);
    assert!(svgs(&runs(&folder)).iter().all(Option::is_some));
}

#[test]
fn failed_runs_alone_have_curves_and_nothing_else() {
    let (_temporary, folder) = fixture::empty_folder();
    fixture::add_failed(&folder, &member(0), 0);
    let drawn: Vec<bool> = svgs(&runs(&folder)).iter().map(Option::is_some).collect();
    assert_eq!(drawn, [true, true, false, false, false, false]);
    assert!(svgs(&[]).iter().all(Option::is_none));
}

#[test]
fn figures_that_are_not_finite_are_left_out() {
    let (_temporary, folder) = fixture::folder();
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let mut runs = runs(&folder);
        for run in &mut runs {
            for epoch in &mut run.epochs {
                (epoch.eval_loss, epoch.train_loss, epoch.eval_top1) = (bad, bad, bad);
            }
            for sample in &mut run.timing {
                sample.seconds = bad;
            }
            if let crate::results::Outcome::Done(record) = &mut run.outcome {
                (record.test_top1, record.test_loss) = (Some(bad), Some(bad));
            }
        }
        let drawn: Vec<bool> = svgs(&runs).iter().map(Option::is_some).collect();
        // Training accuracy and parameters are all that is left.
        assert_eq!(drawn, [true, false, false, false, true, false], "{bad}");
        assert!(
            svgs(&runs)
                .iter()
                .flatten()
                .all(|svg| !svg.contains("NaN") && !svg.contains(">inf") && !svg.contains("\ninf"))
        );
    }
}
