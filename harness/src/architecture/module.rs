//! A model of any architecture as one of Burn's modules.
//!
//! Burn's `Module` cannot be a trait object: its visitors are generic, and so are their methods. [`Erased`] takes visitors as trait
//! objects instead, whose methods take a parameter as `dyn Any` together with its rank.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt::Debug;

use burn::module::{Devices, Flag, Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Bool, Device, Float, Int, Tensor};
use layers::SampleKeys;
use layers::architecture::{Model, Outputs, Pass};

/// A model of any architecture.
#[derive(Debug)]
pub struct Architecture(Box<dyn Erased>);

/// [`Model`] without its type.
trait Erased: Debug + Send + Sync {
    fn cloned(&self) -> Box<dyn Erased>;
    fn collect_devices(&self, devices: Devices) -> Devices;
    fn fork(self: Box<Self>, device: &Device) -> Box<dyn Erased>;
    fn to_device(self: Box<Self>, device: &Device) -> Box<dyn Erased>;
    fn train(self: Box<Self>) -> Box<dyn Erased>;
    fn valid(&self) -> Box<dyn Erased>;
    fn materialize(self: Box<Self>) -> Box<dyn Erased>;
    fn visit(&self, visitor: &mut dyn Visitor);
    fn map(self: Box<Self>, mapper: &mut dyn Mapper) -> Box<dyn Erased>;

    fn embed(&self, images: Tensor<4>, pass: Pass<'_>) -> Tensor<3>;
    fn depth(&self) -> usize;
    fn stage(&self, index: usize, x: Tensor<3>, pass: Pass<'_>) -> Tensor<3>;
    fn classify(&self, x: Tensor<3>) -> Tensor<2>;
    fn pass(&self, images: Tensor<4>, pass: Pass<'_>) -> Tensor<2>;
    fn forward_full(&self, images: Tensor<4>) -> Outputs;
}

impl<M: Model> Erased for M {
    fn cloned(&self) -> Box<dyn Erased> {
        Box::new(self.clone())
    }
    fn collect_devices(&self, devices: Devices) -> Devices {
        Module::collect_devices(self, devices)
    }
    fn fork(self: Box<Self>, device: &Device) -> Box<dyn Erased> {
        Box::new(Module::fork(*self, device))
    }
    fn to_device(self: Box<Self>, device: &Device) -> Box<dyn Erased> {
        Box::new(Module::to_device(*self, device))
    }
    fn train(self: Box<Self>) -> Box<dyn Erased> {
        Box::new(Module::train(*self))
    }
    fn valid(&self) -> Box<dyn Erased> {
        Box::new(Module::valid(self))
    }
    fn materialize(self: Box<Self>) -> Box<dyn Erased> {
        Box::new(Module::materialize(*self))
    }
    fn visit(&self, visitor: &mut dyn Visitor) {
        Module::visit(self, &mut Through(visitor));
    }
    fn map(self: Box<Self>, mapper: &mut dyn Mapper) -> Box<dyn Erased> {
        Box::new(Module::map(*self, &mut Through(mapper)))
    }

    fn embed(&self, images: Tensor<4>, pass: Pass<'_>) -> Tensor<3> {
        Model::embed(self, images, pass)
    }
    fn depth(&self) -> usize {
        Model::depth(self)
    }
    fn stage(&self, index: usize, x: Tensor<3>, pass: Pass<'_>) -> Tensor<3> {
        Model::stage(self, index, x, pass)
    }
    fn classify(&self, x: Tensor<3>) -> Tensor<2> {
        Model::classify(self, x)
    }
    fn pass(&self, images: Tensor<4>, pass: Pass<'_>) -> Tensor<2> {
        Model::pass(self, images, pass)
    }
    fn forward_full(&self, images: Tensor<4>) -> Outputs {
        Model::forward_full(self, images)
    }
}

/// [`ModuleVisitor`] as a trait object. A parameter is a `Param<Tensor<RANK>>`, or one of integers or of truth values.
trait Visitor {
    fn float(&mut self, rank: usize, param: &dyn Any);
    fn int(&mut self, rank: usize, param: &dyn Any);
    fn bool(&mut self, rank: usize, param: &dyn Any);
    fn flag(&mut self, flag: &Param<Flag>);
    fn enter(&mut self, name: &str, container: &str);
    fn exit(&mut self, name: &str, container: &str);
}

/// [`ModuleMapper`] as a trait object. A parameter is in an `Option<Param<Tensor<RANK>>>`, which is never empty outside.
trait Mapper {
    fn float(&mut self, rank: usize, param: &mut dyn Any);
    fn int(&mut self, rank: usize, param: &mut dyn Any);
    fn bool(&mut self, rank: usize, param: &mut dyn Any);
    fn flag(&mut self, flag: Param<Flag>) -> Param<Flag>;
    fn enter(&mut self, name: &str, container: &str);
    fn exit(&mut self, name: &str, container: &str);
}

const UNKNOWN_RANK: &str = "parameters have one to six axes";

/// Calls `$visit` with the parameter as what it is.
macro_rules! visit_ranked {
    ($self:ident.$visit:ident($rank:ident, $param:ident as $kind:ident): $($known:literal)*) => {
        match $rank {
            $($known => $self.$visit(
                $param.downcast_ref::<Param<Tensor<$known, $kind>>>().expect("the rank is the parameter's"),
            ),)*
            _ => panic!("{UNKNOWN_RANK}, not {}", $rank),
        }
    };
}

/// Replaces the parameter by what `$map` makes of it.
macro_rules! map_ranked {
    ($self:ident.$map:ident($rank:ident, $param:ident as $kind:ident): $($known:literal)*) => {
        match $rank {
            $($known => {
                let slot = $param
                    .downcast_mut::<Option<Param<Tensor<$known, $kind>>>>()
                    .expect("the rank is the parameter's");
                *slot = slot.take().map(|param| $self.$map(param));
            })*
            _ => panic!("{UNKNOWN_RANK}, not {}", $rank),
        }
    };
}

impl<V: ModuleVisitor> Visitor for V {
    fn float(&mut self, rank: usize, param: &dyn Any) {
        visit_ranked!(self.visit_float(rank, param as Float): 1 2 3 4 5 6);
    }
    fn int(&mut self, rank: usize, param: &dyn Any) {
        visit_ranked!(self.visit_int(rank, param as Int): 1 2 3 4 5 6);
    }
    fn bool(&mut self, rank: usize, param: &dyn Any) {
        visit_ranked!(self.visit_bool(rank, param as Bool): 1 2 3 4 5 6);
    }
    fn flag(&mut self, flag: &Param<Flag>) {
        self.visit_flag(flag);
    }
    fn enter(&mut self, name: &str, container: &str) {
        self.enter_module(name, container);
    }
    fn exit(&mut self, name: &str, container: &str) {
        self.exit_module(name, container);
    }
}

impl<M: ModuleMapper> Mapper for M {
    fn float(&mut self, rank: usize, param: &mut dyn Any) {
        map_ranked!(self.map_float(rank, param as Float): 1 2 3 4 5 6);
    }
    fn int(&mut self, rank: usize, param: &mut dyn Any) {
        map_ranked!(self.map_int(rank, param as Int): 1 2 3 4 5 6);
    }
    fn bool(&mut self, rank: usize, param: &mut dyn Any) {
        map_ranked!(self.map_bool(rank, param as Bool): 1 2 3 4 5 6);
    }
    fn flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
        self.map_flag(flag)
    }
    fn enter(&mut self, name: &str, container: &str) {
        self.enter_module(name, container);
    }
    fn exit(&mut self, name: &str, container: &str) {
        self.exit_module(name, container);
    }
}

/// One of Burn's visitors or mappers again.
struct Through<'a, T: ?Sized>(&'a mut T);

impl ModuleVisitor for Through<'_, dyn Visitor + '_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.float(D, param);
    }
    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        self.0.int(D, param);
    }
    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        self.0.bool(D, param);
    }
    fn visit_flag(&mut self, flag: &Param<Flag>) {
        self.0.flag(flag);
    }
    fn enter_module(&mut self, name: &str, container: &str) {
        self.0.enter(name, container);
    }
    fn exit_module(&mut self, name: &str, container: &str) {
        self.0.exit(name, container);
    }
}

/// What a mapper puts back.
const PUT_BACK: &str = "a mapper returns a parameter";

impl ModuleMapper for Through<'_, dyn Mapper + '_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let mut slot = Some(param);
        self.0.float(D, &mut slot);
        slot.expect(PUT_BACK)
    }
    fn map_int<const D: usize>(&mut self, param: Param<Tensor<D, Int>>) -> Param<Tensor<D, Int>> {
        let mut slot = Some(param);
        self.0.int(D, &mut slot);
        slot.expect(PUT_BACK)
    }
    fn map_bool<const D: usize>(&mut self, param: Param<Tensor<D, Bool>>) -> Param<Tensor<D, Bool>> {
        let mut slot = Some(param);
        self.0.bool(D, &mut slot);
        slot.expect(PUT_BACK)
    }
    fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
        self.0.flag(flag)
    }
    fn enter_module(&mut self, name: &str, container: &str) {
        self.0.enter(name, container);
    }
    fn exit_module(&mut self, name: &str, container: &str) {
        self.0.exit(name, container);
    }
}

impl Clone for Architecture {
    fn clone(&self) -> Self {
        Self(self.0.cloned())
    }
}

impl Module for Architecture {
    fn collect_devices(&self, devices: Devices) -> Devices {
        self.0.collect_devices(devices)
    }
    fn fork(self, device: &Device) -> Self {
        Self(self.0.fork(device))
    }
    fn to_device(self, device: &Device) -> Self {
        Self(self.0.to_device(device))
    }
    fn train(self) -> Self {
        Self(self.0.train())
    }
    fn valid(&self) -> Self {
        Self(self.0.valid())
    }
    fn materialize(self) -> Self {
        Self(self.0.materialize())
    }
    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        self.0.visit(visitor);
    }
    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        Self(self.0.map(mapper))
    }
}

impl Architecture {
    pub(super) fn new(model: impl Model) -> Self {
        Self(Box::new(model))
    }

    /// As [`Model::forward`].
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        self.0.pass(images, Pass::Inference)
    }

    /// As [`Model::forward_training`].
    pub fn forward_training(&self, images: Tensor<4>, keys: &SampleKeys) -> Tensor<2> {
        self.0.pass(images, Pass::Training(keys))
    }

    /// As [`Model::embed`].
    pub fn embed(&self, images: Tensor<4>, pass: Pass<'_>) -> Tensor<3> {
        self.0.embed(images, pass)
    }

    /// As [`Model::depth`].
    pub fn depth(&self) -> usize {
        self.0.depth()
    }

    /// As [`Model::stage`].
    pub fn stage(&self, index: usize, x: Tensor<3>, pass: Pass<'_>) -> Tensor<3> {
        self.0.stage(index, x, pass)
    }

    /// As [`Model::classify`].
    pub fn classify(&self, x: Tensor<3>) -> Tensor<2> {
        self.0.classify(x)
    }

    /// As [`Model::forward_full`].
    pub fn forward_full(&self, images: Tensor<4>) -> Outputs {
        self.0.forward_full(images)
    }
}

/// The shape of every parameter by its path.
pub(super) fn shapes(model: &Architecture) -> BTreeMap<String, Vec<usize>> {
    #[derive(Default)]
    struct Shapes {
        path: Vec<String>,
        found: BTreeMap<String, Vec<usize>>,
    }
    impl ModuleVisitor for Shapes {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.found.insert(self.path.join("."), param.lazy_shape().to_vec());
        }
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.push(name.to_owned());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.pop();
        }
    }
    let mut shapes = Shapes::default();
    model.visit(&mut shapes);
    shapes.found
}
