use super::*;

fn canvas(size: usize, red: &[f32]) -> Canvas {
    let mut canvas = Canvas::new(size);
    canvas.values[..red.len()].copy_from_slice(red);
    canvas
}

#[test]
fn placing_an_image_parts_its_channels() {
    let mut canvas = Canvas::new(2);
    canvas.place(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 255]);
    assert_eq!(canvas.values, [1.0, 4.0, 7.0, 10.0, 2.0, 5.0, 8.0, 11.0, 3.0, 6.0, 9.0, 255.0]);
}

#[test]
fn the_whole_image_as_window_is_the_identity() {
    let mut canvas = Canvas::new(7);
    let pixels: Vec<u8> = (0..7 * 7 * 3).map(|i: u32| (i * 37 % 256) as u8).collect();
    canvas.place(&pixels);
    let before = canvas.values.clone();
    Window { top: 0, left: 0, height: 7, width: 7 }.resize(&mut canvas);
    assert_eq!(canvas.values, before);
}

#[test]
fn two_by_two_to_four_by_four_by_hand() {
    // Four targets over two sources lie at -0.25, 0.25, 0.75, 1.25, clamped to 0 and 1: weights 0, 1/4, 3/4, 1.
    let mut red = [100.0; 16];
    [red[5], red[6], red[9], red[10]] = [0.0, 4.0, 8.0, 20.0];
    let mut canvas = canvas(4, &red);
    Window { top: 1, left: 1, height: 2, width: 2 }.resize(&mut canvas);
    #[rustfmt::skip]
    let expected = [
        0.0, 1.0, 3.0, 4.0,
        2.0, 3.5, 6.5, 8.0,
        6.0, 8.5, 13.5, 16.0,
        8.0, 11.0, 17.0, 20.0,
    ];
    assert_eq!(canvas.values[..16], expected, "the 100 around the window must not come in");
}

#[test]
fn height_and_width_are_resized_each_on_its_own() {
    // A window of one column and three rows.
    #[rustfmt::skip]
    let red = [
        9.0, 9.0, 0.0, 9.0,
        9.0, 9.0, 8.0, 9.0,
        9.0, 9.0, 16.0, 9.0,
        9.0, 9.0, 9.0, 9.0,
    ];
    let mut canvas = canvas(4, &red);
    Window { top: 0, left: 2, height: 3, width: 1 }.resize(&mut canvas);
    // Rows of the target lie at 0.75 * (i + 0.5) - 0.5 = -0.125 (clamped), 0.625, 1.375, 2.125 (clamped).
    for (row, expected) in canvas.values[..16].chunks(4).zip([0.0, 5.0, 11.0, 16.0]) {
        assert_eq!(row, [expected; 4]);
    }
}

#[test]
fn flipping_mirrors_every_row_and_twice_is_nothing() {
    let mut canvas = canvas(2, &[1.0, 2.0, 3.0, 4.0]);
    canvas.values[11] = 5.0;
    flip(&mut canvas);
    assert_eq!(canvas.values, [2.0, 1.0, 4.0, 3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 5.0, 0.0]);
    flip(&mut canvas);
    assert_eq!(canvas.values[..4], [1.0, 2.0, 3.0, 4.0]);
}

#[test]
fn windows_keep_their_bounds_and_cover_them() {
    let config = RandomResizedCropConfig { scale: [0.25, 0.75], ratio: [0.5, 2.0] };
    let mut rng = generator([1, 2, 3, 4]);
    let windows: Vec<Window> = (0..2000).map(|_| Window::random(&config, 100, &mut rng)).collect();
    for window in &windows {
        assert!(window.top + window.height <= 100 && window.left + window.width <= 100, "{window:?}");
        let area = (window.height * window.width) as f64 / 10_000.0;
        let ratio = window.width as f64 / window.height as f64;
        // Rounding to whole pixels may step over a bound by about one part in fifty.
        assert!((0.24..0.77).contains(&area) && (0.49..2.05).contains(&ratio), "{window:?}");
    }
    let share = |holds: fn(&Window) -> bool| windows.iter().filter(|window| holds(window)).count() as f64 / 2000.0;
    assert!((share(|window| window.width > window.height) - 0.5).abs() < 0.05, "the ratio's logarithm is uniform");
    assert!(share(|window| window.top == 0) < 0.1 && share(|window| window.top > 20) > 0.2);
}

#[test]
fn a_ratio_that_never_fits_falls_back_to_the_middle() {
    // Of the full area, a width of 9 to 16 times the height cannot fit.
    let config = RandomResizedCropConfig { scale: [1.0, 1.0], ratio: [9.0, 16.0] };
    let window = Window::random(&config, 32, &mut generator([0; 4]));
    assert_eq!(window, Window { top: 14, left: 0, height: 4, width: 32 });
    let config = RandomResizedCropConfig { scale: [1.0, 1.0], ratio: [0.125, 0.25] };
    let window = Window::random(&config, 32, &mut generator([0; 4]));
    assert_eq!(window, Window { top: 0, left: 12, height: 32, width: 8 });
    // In a tiny image even one pixel may be too large for the ratio.
    assert_eq!(Window::central([50.0, 60.0], 8), Window { top: 3, left: 0, height: 1, width: 8 });
}

#[test]
fn steps_are_those_that_the_config_names() {
    assert!(steps(&AugmentConfig::default()).is_empty());
    let crop = RandomResizedCropConfig { scale: [0.5, 1.0], ratio: [1.0, 1.0] };
    let both = AugmentConfig { random_resized_crop: Some(crop), horizontal_flip: true };
    assert!(matches!(steps(&both)[..], [Step::RandomResizedCrop(_), Step::HorizontalFlip]));
}
