//! `vitbench data fetch`: downloads or unpacks a dataset and shows the progress.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use crate::data::{self, Fetch, FetchEvent, Fetchable};
use crate::error::Result;

/// Arguments of `vitbench data fetch`.
#[derive(Debug, Args)]
pub(super) struct FetchArgs {
    /// The dataset to fetch
    dataset: Fetchable,
    /// Use this archive, or download it from this URL; its files are checked all the same
    #[arg(long, value_name = "URL|FILE")]
    from: Option<String>,
    /// Data folder to put it into [default: $VITBENCH_DATA, or `vitbench` in the user's cache folder]
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
}

/// Fetches a dataset and prints where it is.
pub(super) fn execute(args: &FetchArgs) -> Result<()> {
    let request = Fetch { dataset: args.dataset, from: args.from.as_deref(), to: args.to.as_deref() };
    // indicatif hides the bar if standard error is not a terminal.
    let bar = ProgressBar::no_length();
    let photos = args.dataset == Fetchable::CatsVsDogs;
    let template = match photos {
        true => "{msg} {bar:24} {human_pos} of {human_len} photos, {eta} left",
        false => "{msg} {bar:24} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left",
    };
    bar.set_style(ProgressStyle::with_template(template).expect("the template is well-formed"));
    bar.enable_steady_tick(Duration::from_millis(200));
    let fetched = data::fetch(&request, &mut |event| show(&bar, &event));
    bar.finish_and_clear();
    let fetched = fetched?;
    let verb = if fetched.was_there { "is already complete" } else { "is complete" };
    println!("{} {verb}: {}", fetched.folder.display(), fetched.contents);
    if let Some(folder) = &args.to {
        println!("To use it, pass the same folder to the other commands: --data-dir {}", folder.display());
    }
    if photos {
        println!("`vitbench data verify {}` decodes every photo.", fetched.folder.display());
    }
    Ok(())
}

fn show(bar: &ProgressBar, event: &FetchEvent) {
    match event {
        FetchEvent::Waiting => eprintln!("Another process is fetching the same dataset; waiting for it."),
        FetchEvent::Retrying(reason) => bar.suspend(|| eprintln!("{reason}; retrying")),
        FetchEvent::Downloading { done, total } => {
            bar.set_message("downloading");
            if let Some(total) = total {
                bar.set_length(*total);
            }
            bar.set_position(*done);
        }
        FetchEvent::Unpacking { done, total } => {
            bar.set_message("unpacking");
            bar.set_length(*total);
            bar.set_position(*done);
        }
    }
}
