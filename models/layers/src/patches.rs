use burn::tensor::Tensor;

/// Cuts images into square patches and flattens each in the order (row in patch, column in patch, channel); the patches come
/// row by row. A linear layer on the result is a convolution of kernel and stride `patch_size`.
///
/// # Shapes
/// - `images`: `[batch, channels, height, width]`
/// - output: `[batch, (height / patch_size) * (width / patch_size), patch_size² * channels]`
///
/// # Panics
/// If `patch_size` does not divide height and width.
pub fn patches(images: Tensor<4>, patch_size: usize) -> Tensor<3> {
    let [b, c, h, w] = images.dims();
    assert!(
        h.is_multiple_of(patch_size) && w.is_multiple_of(patch_size),
        "patches of {patch_size} do not tile images of {h}x{w}"
    );
    let (rows, columns) = (h / patch_size, w / patch_size);
    images.reshape([b, c, rows, patch_size, columns, patch_size]).permute([0, 2, 4, 3, 5, 1]).reshape([
        b,
        rows * columns,
        patch_size * patch_size * c,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Int};

    #[test]
    fn order_is_row_column_channel() {
        // Two channels of 4x4: the pixel at (channel, row, column) holds 100 * channel + 10 * row + column.
        let pixels: Vec<i32> =
            (0..2).flat_map(|c| (0..4).flat_map(move |y| (0..4).map(move |x| 100 * c + 10 * y + x))).collect();
        let device = Device::flex();
        let images = Tensor::<1, Int>::from_data(pixels.as_slice(), &device).float().reshape([1, 2, 4, 4]);
        let out: Vec<f32> = patches(images, 2).slice([0..1, 2..3]).into_data().try_into_vec().unwrap();
        assert_eq!(out, [20., 120., 21., 121., 30., 130., 31., 131.]);
    }
}
