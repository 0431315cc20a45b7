//! Architecture and sizes of a model, whatever the architecture.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;

use burn::tensor::Device;
use layers::architecture::{Config, Images, StageShape, Widths};
use layers::layout::Layout;
use layers::{InvalidConfig, Layer, Parameter};
use serde::{Serialize, Serializer};
use toml::{Table, Value};

use super::module::{self, Architecture};

/// The key that names the architecture in a `[[model]]` table.
pub(super) const ARCHITECTURE: &str = "architecture";

/// Architecture and sizes of a model, as a config's `[[model]]` table states them.
pub struct ArchitectureConfig(Box<dyn Erased>);

/// [`Config`] without its type.
trait Erased: fmt::Debug + Send + Sync {
    fn as_any(&self) -> &dyn Any;
    fn cloned(&self) -> Box<dyn Erased>;
    fn equals(&self, other: &dyn Erased) -> bool;
    fn table(&self) -> Table;
    fn name(&self) -> &'static str;
    fn version(&self) -> u32;
    fn images(&self) -> Images;
    fn set_images(&mut self, images: Images);
    fn check(&self) -> Result<(), InvalidConfig>;
    fn stages(&self) -> Vec<StageShape>;
    fn layers(&self) -> Vec<Layer>;
    fn layouts(&self) -> Vec<Layout>;
    fn widths(&self) -> Option<Widths>;
    fn with_widths(&self, width: usize, inner: Option<usize>) -> Box<dyn Erased>;
    fn batch_statistics(&self) -> bool;
    fn init(&self, seed: u64, device: &Device) -> Architecture;
}

impl<C: Config> Erased for C {
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn cloned(&self) -> Box<dyn Erased> {
        Box::new(self.clone())
    }
    fn equals(&self, other: &dyn Erased) -> bool {
        other.as_any().downcast_ref::<C>() == Some(self)
    }
    fn table(&self) -> Table {
        Table::try_from(self).expect("an architecture's sizes are a TOML table")
    }
    fn name(&self) -> &'static str {
        C::NAME
    }
    fn version(&self) -> u32 {
        C::VERSION
    }
    fn images(&self) -> Images {
        Config::images(self)
    }
    fn set_images(&mut self, images: Images) {
        *self.images_mut() = images;
    }
    fn check(&self) -> Result<(), InvalidConfig> {
        Config::check(self)
    }
    fn stages(&self) -> Vec<StageShape> {
        Config::stages(self)
    }
    fn layers(&self) -> Vec<Layer> {
        Config::layers(self)
    }
    fn layouts(&self) -> Vec<Layout> {
        Config::layouts(self)
    }
    fn widths(&self) -> Option<Widths> {
        Config::widths(self)
    }
    fn with_widths(&self, width: usize, inner: Option<usize>) -> Box<dyn Erased> {
        Box::new(Config::with_widths(self, width, inner))
    }
    fn batch_statistics(&self) -> bool {
        Config::batch_statistics(self)
    }
    fn init(&self, seed: u64, device: &Device) -> Architecture {
        Architecture::new(self.init_seeded(seed, device))
    }
}

impl ArchitectureConfig {
    /// The architecture's name as configs and tables spell it.
    pub fn kind(&self) -> &'static str {
        self.0.name()
    }

    /// The version of its function; see [`Config::VERSION`].
    pub fn version(&self) -> u32 {
        self.0.version()
    }

    /// The same sizes, for RGB images of `image_size` pixels in `classes` classes.
    pub fn for_images(&self, image_size: usize, classes: usize) -> Self {
        let mut config = self.clone();
        config.0.set_images(Images { size: image_size, channels: 3, classes });
        config
    }

    /// Says what is wrong with the sizes, if anything.
    pub fn check(&self) -> Result<(), InvalidConfig> {
        self.0.check()
    }

    /// The model with initial weights of `seed`.
    ///
    /// # Panics
    /// If [`check`](Self::check) errs, or the architecture's layers do not state its module's parameters.
    pub fn init(&self, seed: u64, device: &Device) -> Architecture {
        let model = self.0.init(seed, device);
        let stated: BTreeMap<String, Vec<usize>> =
            self.parameters().into_iter().map(|(path, (parameter, _))| (path, parameter.shape)).collect();
        let found = module::shapes(&model);
        if let Some(path) = stated.keys().chain(found.keys()).find(|path| stated.get(*path) != found.get(*path)) {
            let (stated, found) = (stated.get(path), found.get(path));
            panic!(
                "architecture `{}`: `layers()` states {stated:?} for parameter `{path}`, the module has {found:?}",
                self.kind()
            );
        }
        model
    }

    /// Every parameter by its path, with the stage that it belongs to.
    pub fn parameters(&self) -> BTreeMap<String, (Parameter, Option<usize>)> {
        let mut parameters = BTreeMap::new();
        for layer in self.layers() {
            parameters.extend(layer.paths().map(|(path, parameter)| (path, (parameter.clone(), layer.stage))));
        }
        parameters
    }

    /// Tokens (or positions) that the first stage works on.
    pub fn tokens(&self) -> usize {
        self.0.stages()[0].positions()
    }

    /// The shape before the first stage and after each.
    pub fn stages(&self) -> Vec<StageShape> {
        self.0.stages()
    }

    /// Number of stages.
    pub fn depth(&self) -> usize {
        self.0.stages().len() - 1
    }

    /// Height and width of the images, and the number of classes.
    pub fn images(&self) -> (usize, usize) {
        let Images { size, classes, .. } = self.0.images();
        (size, classes)
    }

    /// The layouts of the reference implementations' weights, the one to write first.
    pub fn layouts(&self) -> Vec<Layout> {
        self.0.layouts()
    }

    /// The model's layers in the order of computation, with their sizes and costs.
    pub fn layers(&self) -> Vec<Layer> {
        self.0.layers()
    }

    /// The sizes that matching may change.
    pub fn widths(&self) -> Option<Widths> {
        self.0.widths()
    }

    /// The same model of other widths.
    ///
    /// # Panics
    /// If [`widths`](Self::widths) is none.
    pub fn with_widths(&self, width: usize, inner: Option<usize>) -> Self {
        Self(self.0.with_widths(width, inner))
    }

    /// Whether a training pass mixes the images of a batch; see [`Config::batch_statistics`].
    pub fn batch_statistics(&self) -> bool {
        self.0.batch_statistics()
    }

    /// The `[[model]]` table, without the keys that all architectures share.
    pub fn table(&self) -> Table {
        let mut table = self.0.table();
        table.insert(ARCHITECTURE.into(), Value::String(self.kind().into()));
        table
    }
}

impl<C: Config> From<C> for ArchitectureConfig {
    fn from(config: C) -> Self {
        Self(Box::new(config))
    }
}

impl Clone for ArchitectureConfig {
    fn clone(&self) -> Self {
        Self(self.0.cloned())
    }
}

impl PartialEq for ArchitectureConfig {
    fn eq(&self, other: &Self) -> bool {
        self.0.equals(&*other.0)
    }
}

impl fmt::Debug for ArchitectureConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl Serialize for ArchitectureConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.table().serialize(serializer)
    }
}
