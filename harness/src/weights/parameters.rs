//! A module's parameters by path: values, gradients, replacement.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{Tensor, TensorData};

use super::Values;

/// The path of the current module during a visit.
#[derive(Default)]
struct PathStack(Vec<String>);

impl PathStack {
    fn enter(&mut self, name: &str) {
        self.0.push(name.to_owned());
    }

    fn exit(&mut self) {
        self.0.pop();
    }

    fn join(&self) -> String {
        self.0.join(".")
    }
}

/// Every parameter's values by its path.
pub fn values<M: Module>(model: &M) -> BTreeMap<String, Values> {
    visit(model, None)
}

/// Every parameter's gradient by its path; zero where the loss does not depend on the parameter.
pub fn gradients<M: Module>(model: &M, gradients: &GradientsParams) -> BTreeMap<String, Values> {
    visit(model, Some(gradients))
}

fn visit<M: Module>(model: &M, gradients: Option<&GradientsParams>) -> BTreeMap<String, Values> {
    struct Collect<'a> {
        path: PathStack,
        gradients: Option<&'a GradientsParams>,
        found: BTreeMap<String, Values>,
    }
    impl ModuleVisitor for Collect<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let tensor = match self.gradients {
                None => param.val(),
                Some(gradients) => gradients.get::<D>(param.id).unwrap_or_else(|| param.val().inner().zeros_like()),
            };
            self.found.insert(self.path.join(), host(tensor));
        }
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.enter(name);
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.exit();
        }
    }
    let mut visitor = Collect { path: PathStack::default(), gradients, found: BTreeMap::new() };
    model.visit(&mut visitor);
    visitor.found
}

/// The identity of every parameter, by which optimisers know it, by its path.
pub fn ids<M: Module>(model: &M) -> BTreeMap<String, ParamId> {
    #[derive(Default)]
    struct Collect {
        path: PathStack,
        found: BTreeMap<String, ParamId>,
    }
    impl ModuleVisitor for Collect {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.found.insert(self.path.join(), param.id);
        }
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.enter(name);
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.exit();
        }
    }
    let mut visitor = Collect::default();
    model.visit(&mut visitor);
    visitor.found
}

/// The module with the parameters at the given paths replaced. They stay on the module's device, and keep their identity and whether
/// they are trained.
///
/// # Panics
/// If no parameter has a path, or a shape differs from the parameter's.
pub(crate) fn replace<M: Module>(model: M, values: BTreeMap<String, Values>) -> M {
    struct Replace {
        path: PathStack,
        values: BTreeMap<String, Values>,
    }
    impl ModuleMapper for Replace {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let path = self.path.join();
            let Some(values) = self.values.remove(&path) else { return param };
            assert_eq!(param.lazy_shape().to_vec(), values.shape, "values of {path}");
            let (device, id) = (param.lazy_device(), param.id);
            let tensor = Tensor::from_data(TensorData::new(values.data, values.shape), &device);
            param.transform_for_load(tensor, id)
        }
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.enter(name);
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.exit();
        }
    }
    let mut mapper = Replace { path: PathStack::default(), values };
    let model = model.map(&mut mapper);
    assert!(mapper.values.is_empty(), "no parameters of these names: {:?}", mapper.values.keys());
    model
}

/// The module with the identities of its parameters replaced, by which optimisers know them.
///
/// # Panics
/// If a parameter's path is not among `ids`.
pub(crate) fn with_ids<M: Module>(model: M, ids: &BTreeMap<String, u64>) -> M {
    struct Rename<'a> {
        path: PathStack,
        ids: &'a BTreeMap<String, u64>,
    }
    impl ModuleMapper for Rename<'_> {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let path = self.path.join();
            let id = *self.ids.get(&path).unwrap_or_else(|| panic!("no identity for {path}"));
            let values = param.val().detach();
            param.transform_for_load(values, ParamId::from(id))
        }
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.enter(name);
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.exit();
        }
    }
    model.map(&mut Rename { path: PathStack::default(), ids })
}

/// A tensor's values on the host.
pub(crate) fn host<const D: usize>(tensor: Tensor<D>) -> Values {
    let shape = tensor.dims();
    let data = tensor.into_data().convert::<f32>().try_into_vec().expect("converted to 32-bit floats");
    Values::new(shape, data)
}
