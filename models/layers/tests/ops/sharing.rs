//! Operations do not change tensors that are still in use elsewhere, compute no gradients that are not requested, and give the same
//! results for any number of threads.

use burn::tensor::{Device, Tensor};
use layers::ops;

use crate::support::{Input, Operation, devices, inputs, matrix, run, values, vector};

/// Operations and the shapes of their inputs.
fn operations() -> Vec<(&'static str, Operation<'static>, Vec<[usize; 3]>)> {
    let (x, weight, bias) = ([2, 40, 48], [1, 48, 72], [1, 1, 72]);
    vec![
        ("gelu", &|x| ops::gelu(x[0].clone()), vec![x]),
        (
            "layer norm",
            &|x| ops::layer_norm(x[0].clone(), vector(&x[1]), vector(&x[2]), 1e-5),
            vec![x, [1, 1, 48], [1, 1, 48]],
        ),
        ("linear", &|x| ops::linear(x[0].clone(), matrix(&x[1]), None), vec![x, weight]),
        ("linear with bias", &|x| ops::linear(x[0].clone(), matrix(&x[1]), Some(vector(&x[2]))), vec![x, weight, bias]),
        (
            "linear with residual",
            &|x| ops::linear_residual(x[0].clone(), matrix(&x[1]), Some(vector(&x[2])), x[3].clone()),
            vec![x, weight, bias, [2, 40, 72]],
        ),
        (
            "linear with GELU",
            &|x| ops::linear_gelu(x[0].clone(), matrix(&x[1]), Some(vector(&x[2]))),
            vec![x, weight, bias],
        ),
        ("token projection", &|x| ops::project_tokens(matrix(&x[0]), x[1].clone()), vec![[1, 40, 9], x]),
        (
            "attention",
            &|x| ops::attention(x[0].clone(), x[1].clone(), x[2].clone(), 4),
            vec![x, [2, 33, 48], [2, 33, 48]],
        ),
        ("channel attention", &|x| ops::channel_attention(x[0].clone(), 8), vec![x]),
    ]
}

#[test]
fn inputs_stay_as_they_are() {
    for (device_name, device) in devices() {
        for (name, operation, shapes) in operations() {
            let inputs = inputs(&shapes);
            let tracked: Vec<_> =
                inputs.iter().map(|input| input.tensor(&device.clone().autodiff()).require_grad()).collect();
            let (first, second) = (operation(&tracked), operation(&tracked));
            let (_, _) = (first.clone().sum().backward(), (second.clone() * 2.0).sum().backward());
            assert_eq!(values(first.inner()), values(second.inner()), "{name} on {device_name}");
            for (input, tensor) in inputs.iter().zip(tracked) {
                assert_eq!(values(tensor.inner()), input.values, "{name} on {device_name}");
            }
        }
    }
}

/// An input that is used several times gets the sum of the gradients of all uses, including a direct addition to the output.
#[test]
fn gradients_of_shared_inputs_add_up() {
    for (device_name, device) in devices() {
        let operation = |x: &[Tensor<3>]| {
            x[0].clone() + ops::gelu(x[0].clone()) + ops::attention(x[0].clone(), x[0].clone(), x[0].clone(), 2)
        };
        let parts: [Operation; 5] = [
            &|x| x[0].clone(),
            &|x| ops::gelu(x[0].clone()),
            &|x| ops::attention(x[0].clone(), x[0].clone().detach(), x[0].clone().detach(), 2),
            &|x| ops::attention(x[0].clone().detach(), x[0].clone(), x[0].clone().detach(), 2),
            &|x| ops::attention(x[0].clone().detach(), x[0].clone().detach(), x[0].clone(), 2),
        ];
        let input = [Input::normal([2, 9, 12], 1.0, 1)];
        let together = run(&operation, &input, &device).gradients.remove(0);
        let parts: Vec<_> = parts.map(|part| run(part, &input, &device).gradients.remove(0)).into();
        for (i, gradient) in together.iter().enumerate() {
            let sum: f32 = parts.iter().map(|part| part[i]).sum();
            assert!((gradient - sum).abs() < 1e-5, "{device_name}: {gradient} instead of {sum}");
        }
    }
}

/// If only one input is tracked, its gradient is the same as if all are tracked, and the others have none.
#[test]
fn only_wanted_gradients_exist() {
    for (device_name, device) in devices() {
        let device = device.autodiff();
        for (name, operation, shapes) in operations() {
            let inputs = inputs(&shapes);
            let gradients = |wanted: &dyn Fn(usize) -> bool| -> Vec<Option<Vec<f32>>> {
                let tensor = |(index, input): (usize, &Input)| {
                    let tensor = input.tensor(&device);
                    if wanted(index) { tensor.require_grad() } else { tensor }
                };
                let tensors: Vec<_> = inputs.iter().enumerate().map(tensor).collect();
                let gradients = operation(&tensors).powi_scalar(2).sum().backward();
                tensors.iter().map(|tensor| tensor.grad(&gradients).map(values)).collect()
            };
            let all = gradients(&|_| true);
            for wanted in 0..inputs.len() {
                for (index, gradient) in gradients(&|index| index == wanted).into_iter().enumerate() {
                    let expected = if index == wanted { all[index].clone() } else { None };
                    assert_eq!(gradient, expected, "{name} on {device_name}: gradient {index} of {wanted}");
                }
            }
        }
    }
}

#[test]
fn the_number_of_threads_does_not_show() {
    // Large enough for the matrix products to use threads.
    let weights: Operation = &|x| ops::linear_gelu(x[0].clone(), matrix(&x[1]), Some(vector(&x[2])));
    let large = ("large linear with GELU", weights, vec![[4, 197, 300], [1, 300, 500], [1, 1, 500]]);
    for (name, operation, shapes) in operations().into_iter().chain([large]) {
        let inputs = inputs(&shapes);
        let outcome = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
            pool.install(|| run(operation, &inputs, &Device::flex()))
        };
        let one = outcome(1);
        for threads in [2, 3] {
            assert!(outcome(threads) == one, "{name} with {threads} threads");
        }
    }
}
