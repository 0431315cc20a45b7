//! Compares every operation with its composition on every backend, over ordinary and odd sizes and views.

use burn::tensor::Tensor;
use layers::ops::{self, composed};

use crate::support::{Operation, assert_agree, devices, inputs, matrix, vector};

/// Runs one comparison for every backend and every list of shapes.
fn assert_agrees<const N: usize>(
    name: &str,
    shapes: impl IntoIterator<Item = [[usize; 3]; N]> + Clone,
    actual: Operation,
    expected: Operation,
) {
    for (device_name, device) in devices() {
        for shapes in shapes.clone() {
            let what = format!("{name} on {device_name} with {shapes:?}");
            assert_agree(&what, actual, expected, &inputs(&shapes), &device);
        }
    }
}

#[test]
fn gelu() {
    let shapes = [[[2, 5, 7]], [[1, 1, 1]], [[3, 16, 16]], [[1, 1, 4099]]];
    assert_agrees("gelu", shapes, &|x| ops::gelu(x[0].clone()), &|x| composed::gelu(x[0].clone()));
}

#[test]
fn layer_norm() {
    // Not two: any row of two becomes 1 and -1, so its gradient is zero up to rounding errors.
    let shapes = [1, 3, 15, 16, 17, 32, 100, 192, 4099].map(|d| [[3, 5, d], [1, 1, d], [1, 1, d]]);
    let shapes = shapes.into_iter().chain([[[1, 1, 8], [1, 1, 8], [1, 1, 8]], [[4, 4096, 3], [1, 1, 3], [1, 1, 3]]]);
    assert_agrees("layer norm", shapes, &|x| ops::layer_norm(x[0].clone(), vector(&x[1]), vector(&x[2]), 1e-5), &|x| {
        composed::layer_norm(x[0].clone(), vector(&x[1]), vector(&x[2]), 1e-5)
    });
}

/// Shapes of input, weight, bias and residual.
fn linear_shapes() -> impl Iterator<Item = [[usize; 3]; 4]> + Clone {
    let sizes =
        [[1, 1, 1, 1], [2, 5, 7, 3], [3, 1, 1, 20], [1, 17, 48, 1], [2, 33, 64, 96], [1, 4099, 5, 6], [1, 2, 4099, 3]];
    sizes.into_iter().map(|[batch, n, d_input, d_output]| {
        [[batch, n, d_input], [1, d_input, d_output], [1, 1, d_output], [batch, n, d_output]]
    })
}

#[test]
fn linear_without_bias() {
    assert_agrees(
        "linear",
        linear_shapes().map(|[x, weight, ..]| [x, weight]),
        &|x| ops::linear(x[0].clone(), matrix(&x[1]), None),
        &|x| composed::linear(x[0].clone(), matrix(&x[1]), None),
    );
}

#[test]
fn linear_with_bias() {
    assert_agrees(
        "linear with bias",
        linear_shapes().map(|[x, weight, bias, _]| [x, weight, bias]),
        &|x| ops::linear(x[0].clone(), matrix(&x[1]), Some(vector(&x[2]))),
        &|x| composed::linear(x[0].clone(), matrix(&x[1]), Some(vector(&x[2]))),
    );
}

#[test]
fn linear_with_residual() {
    assert_agrees(
        "linear with residual",
        linear_shapes(),
        &|x| ops::linear_residual(x[0].clone(), matrix(&x[1]), Some(vector(&x[2])), x[3].clone()),
        &|x| composed::linear_residual(x[0].clone(), matrix(&x[1]), Some(vector(&x[2])), x[3].clone()),
    );
    assert_agrees(
        "linear with residual, without bias",
        linear_shapes().map(|[x, weight, _, residual]| [x, weight, residual]),
        &|x| ops::linear_residual(x[0].clone(), matrix(&x[1]), None, x[2].clone()),
        &|x| composed::linear_residual(x[0].clone(), matrix(&x[1]), None, x[2].clone()),
    );
}

#[test]
fn linear_with_gelu() {
    assert_agrees(
        "linear with GELU",
        linear_shapes().map(|[x, weight, bias, _]| [x, weight, bias]),
        &|x| ops::linear_gelu(x[0].clone(), matrix(&x[1]), Some(vector(&x[2]))),
        &|x| composed::linear_gelu(x[0].clone(), matrix(&x[1]), Some(vector(&x[2]))),
    );
    assert_agrees(
        "linear with GELU, without bias",
        linear_shapes().map(|[x, weight, ..]| [x, weight]),
        &|x| ops::linear_gelu(x[0].clone(), matrix(&x[1]), None),
        &|x| composed::linear_gelu(x[0].clone(), matrix(&x[1]), None),
    );
}

/// A linear layer over a single vector, `[d_input]`.
#[test]
fn linear_of_a_vector() {
    let expand = |y: Tensor<1>| y.unsqueeze::<3>();
    assert_agrees(
        "linear of a vector",
        [[[1, 1, 6], [1, 6, 4], [1, 1, 4]]],
        &|x| expand(ops::linear(vector(&x[0]), matrix(&x[1]), Some(vector(&x[2])))),
        &|x| expand(composed::linear(vector(&x[0]), matrix(&x[1]), Some(vector(&x[2])))),
    );
}

#[test]
fn project_tokens() {
    assert_agrees(
        "token projection",
        [[[1, 50, 64], [3, 50, 128]], [[1, 1, 1], [1, 1, 1]], [[1, 7, 3], [2, 7, 5]], [[1, 4099, 2], [1, 4099, 3]]],
        &|x| ops::project_tokens(matrix(&x[0]), x[1].clone()),
        &|x| composed::project_tokens(matrix(&x[0]), x[1].clone()),
    );
}

#[test]
fn attention() {
    // Batch, queries, keys, d, heads. The last two have more rows than a block of the kernel.
    let sizes = [
        [1, 1, 1, 1, 1],
        [2, 65, 65, 192, 3],
        [3, 50, 64, 128, 8],
        [2, 7, 5, 12, 2],
        [1, 17, 33, 6, 6],
        [1, 3, 4099, 4, 2],
        [1, 260, 1030, 8, 2],
        [2, 70, 4099, 2, 1],
    ];
    for [batch, n, m, d, heads] in sizes {
        assert_agrees(
            "attention",
            [[[batch, n, d], [batch, m, d], [batch, m, d]]],
            &|x| ops::attention(x[0].clone(), x[1].clone(), x[2].clone(), heads),
            &|x| composed::attention(x[0].clone(), x[1].clone(), x[2].clone(), heads),
        );
    }
}

#[test]
fn channel_attention() {
    // Batch, positions, channels, head channels.
    let sizes = [
        [2, 256, 32, 8],
        [3, 49, 64, 16],
        [1, 30, 64, 32],
        [2, 17, 8, 4],
        [2, 40, 24, 12],
        [2, 9, 6, 3],
        [1, 1, 1, 1],
        [1, 5, 64, 64],
        [1, 4099, 6, 2],
        [1, 20, 7, 7],
    ];
    for [batch, n, channels, head_dim] in sizes {
        assert_agrees(
            "channel attention",
            [[[batch, n, 3 * channels]]],
            // Scores are made smaller; otherwise, with many positions, most weights would be zero.
            &|x| ops::channel_attention(x[0].clone() * 0.3, head_dim),
            &|x| composed::channel_attention(x[0].clone() * 0.3, head_dim),
        );
    }
}

/// Transposed, sliced, mirrored and expanded views, all of which share their buffer with the original.
#[test]
fn views() {
    type View = fn(Tensor<3>) -> Tensor<3>;
    let views: [(&str, View, [usize; 3]); 6] = [
        ("transposed", |x| x.swap_dims(1, 2), [2, 12, 6]),
        ("columns", |x| x.slice([0..2, 0..6, 3..15]), [2, 6, 20]),
        ("rows", |x| x.slice([0..2, 1..7, 0..12]), [2, 9, 12]),
        ("items", |x| x.slice([1..3, 0..6, 0..12]), [4, 6, 12]),
        ("mirrored", |x| x.flip([0, 2]), [2, 6, 12]),
        ("expanded", |x| x.expand([2, 6, 12]), [1, 1, 12]),
    ];
    for (name, view, shape) in views {
        let with_weight = [shape, [1, 5, 12], [1, 1, 5]];
        let weight = |x: &Tensor<3>| matrix(x).transpose();
        let keys = |x: &Tensor<3>| x.clone().slice([0..2, 0..6, 0..12]);
        let residual = |x: &Tensor<3>| view(x.clone()).slice([0..2, 0..6, 2..7]);
        assert_agrees(name, [[shape]], &|x| ops::gelu(view(x[0].clone())), &|x| composed::gelu(view(x[0].clone())));
        assert_agrees(
            name,
            [[shape, [1, 1, 12], [1, 1, 24]]],
            &|x| ops::layer_norm(view(x[0].clone()), vector(&x[1]).flip([0]), vector(&x[2]).narrow(0, 7, 12), 1e-5),
            &|x| {
                composed::layer_norm(view(x[0].clone()), vector(&x[1]).flip([0]), vector(&x[2]).narrow(0, 7, 12), 1e-5)
            },
        );
        assert_agrees(
            name,
            [with_weight],
            &|x| {
                ops::linear_residual(view(x[0].clone()), weight(&x[1]), Some(vector(&x[2]).flip([0])), residual(&x[0]))
            },
            &|x| {
                composed::linear_residual(
                    view(x[0].clone()),
                    weight(&x[1]),
                    Some(vector(&x[2]).flip([0])),
                    residual(&x[0]),
                )
            },
        );
        assert_agrees(
            name,
            [with_weight],
            &|x| ops::linear_gelu(view(x[0].clone()), weight(&x[1]).flip([0, 1]), Some(vector(&x[2]))),
            &|x| composed::linear_gelu(view(x[0].clone()), weight(&x[1]).flip([0, 1]), Some(vector(&x[2]))),
        );
        assert_agrees(
            name,
            [[shape, [2, 6, 24]]],
            &|x| ops::attention(view(x[0].clone()), keys(&x[1]), x[1].clone().slice([0..2, 0..6, 12..24]), 3),
            &|x| composed::attention(view(x[0].clone()), keys(&x[1]), x[1].clone().slice([0..2, 0..6, 12..24]), 3),
        );
        assert_agrees(name, [[shape]], &|x| ops::channel_attention(view(x[0].clone()), 4), &|x| {
            composed::channel_attention(view(x[0].clone()), 4)
        });
    }
}

/// A gradient that arrives as a view, as that of a transposed output does.
#[test]
fn gradients_that_are_views() {
    let transposed = |y: Tensor<3>| y.swap_dims(1, 2);
    assert_agrees(
        "transposed gradient",
        [[[2, 6, 12], [1, 12, 5], [1, 1, 5], [2, 6, 5]]],
        &|x| transposed(ops::linear_residual(x[0].clone(), matrix(&x[1]), Some(vector(&x[2])), x[3].clone())),
        &|x| transposed(composed::linear_residual(x[0].clone(), matrix(&x[1]), Some(vector(&x[2])), x[3].clone())),
    );
    assert_agrees(
        "transposed gradient",
        [[[2, 6, 12], [1, 12, 5], [1, 1, 5]]],
        &|x| transposed(ops::linear_gelu(x[0].clone(), matrix(&x[1]), Some(vector(&x[2])))),
        &|x| transposed(composed::linear_gelu(x[0].clone(), matrix(&x[1]), Some(vector(&x[2])))),
    );
    assert_agrees(
        "transposed gradient",
        [[[2, 6, 12], [1, 1, 12], [1, 1, 12]]],
        &|x| transposed(ops::layer_norm(ops::gelu(x[0].clone()), vector(&x[1]), vector(&x[2]), 1e-5)),
        &|x| transposed(composed::layer_norm(composed::gelu(x[0].clone()), vector(&x[1]), vector(&x[2]), 1e-5)),
    );
    assert_agrees(
        "transposed gradient",
        [[[2, 6, 12], [2, 4, 12], [2, 4, 12]]],
        &|x| transposed(ops::attention(x[0].clone(), x[1].clone(), x[2].clone(), 3)),
        &|x| transposed(composed::attention(x[0].clone(), x[1].clone(), x[2].clone(), 3)),
    );
    assert_agrees(
        "transposed gradient",
        [[[2, 6, 36]]],
        &|x| transposed(ops::channel_attention(x[0].clone(), 4)),
        &|x| transposed(composed::channel_attention(x[0].clone(), 4)),
    );
}

#[test]
fn patches() {
    /// Channels by the number of images and channels together; patches of 2.
    fn images(x: &Tensor<3>) -> Tensor<4> {
        let [all, h, w] = x.dims();
        let channels = if all.is_multiple_of(3) { 3 } else { all };
        x.clone().reshape([all / channels, channels, h, w])
    }
    let shapes = [[[3, 2, 2]], [[6, 4, 8]], [[1, 6, 2]], [[4, 8, 4]], [[3, 32, 32]]];
    assert_agrees("patches", shapes, &|x| ops::patches(images(&x[0]), 2), &|x| composed::patches(images(&x[0]), 2));
}

#[test]
fn patches_are_in_the_order_row_column_channel() {
    // Two channels of 4x4: the pixel at (channel, row, column) holds 100 * channel + 10 * row + column.
    let pixels: Vec<f32> =
        (0..2).flat_map(|c| (0..4).flat_map(move |y| (0..4).map(move |x| (100 * c + 10 * y + x) as f32))).collect();
    for (name, device) in devices() {
        let images = Tensor::<1>::from_floats(pixels.as_slice(), &device).reshape([1, 2, 4, 4]);
        let out: Vec<f32> = ops::patches(images, 2).narrow(1, 2, 1).into_data().try_into_vec().unwrap();
        assert_eq!(out, [20., 120., 21., 121., 30., 130., 31., 131.], "{name}");
    }
}
