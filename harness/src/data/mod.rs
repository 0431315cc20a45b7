//! Labelled images, decoded into memory, and the batches that are read from them. Independent of any model.
//!
//! [`load`] turns a `[data]` table into a [`Dataset`]. [`BatchReader`] fills batches from its [`Images`], in the order given by
//! [`epoch_order`]. Both are pure functions of config, files and seeds: neither the number of threads nor the way a batch is
//! divided changes a single bit.

mod archive;
mod augment;
mod batches;
mod cifar;
mod dataset;
mod fetch;
mod files;
mod fingerprint;
mod folders;
mod image_folder;
mod images;
mod inspect;
mod load;
mod mixing;
mod resize;
mod shapes;
mod sheet;
mod sizes;
mod split;
mod verify;

pub use batches::{BatchReader, Digest, TrainingSamples, epoch_order};
pub use dataset::{BadFile, Dataset};
pub use fetch::{Fetch, FetchEvent, Fetchable, Fetched, OnFetchEvent, fetch};
pub use files::{ImageFile, files};
pub use images::Images;
pub use inspect::{Info, Listed, inspect, list};
pub use load::load;
pub use mixing::one_hot;
pub use sheet::contact_sheet;
pub use sizes::{SplitSizes, split_sizes};
pub use verify::{Candidates, Verdict, bad_files_csv};
