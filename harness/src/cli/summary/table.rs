//! The layers of a model for a terminal of 80 columns, as torchinfo shows them.

use comfy_table::CellAlignment;

use super::Model;
use crate::report::terminal_table;
use crate::results::PartMacs;
use crate::train::model_size;

/// Bytes of a number in training and inference (32-bit floats).
const BYTES: usize = 4;

pub(super) fn text(model: &Model) -> String {
    let Model { name, architecture, image_size, classes } = model;
    let layers = architecture.layers();
    let mut table = terminal_table(&["layer", "output", "params", "MACs"]);
    for layer in &layers {
        let count = |number: u64| if number == 0 { String::new() } else { thousands(number) };
        let macs = count(layer.macs.map_or(0, |(_, macs)| macs));
        table.add_row([layer.name.clone(), format!("{:?}", layer.output), count(layer.params() as u64), macs]);
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let size = model_size(architecture);
    let outputs: usize = layers.iter().map(|layer| layer.output.iter().product::<usize>()).sum();
    let mut text = format!(
        "{name}: {}, {image_size} x {image_size} pixels, {classes} classes, one image\n{}\n",
        architecture.kind(),
        table.trim_fmt()
    );
    let mut line = |label: &str, value: String| text += &format!("{label:<22}{value}\n");
    line("trainable parameters", thousands(size.params as u64));
    line("frozen parameters", "0".to_owned());
    if size.params != size.params_module_wise {
        let module_wise = thousands(size.params_module_wise as u64);
        line("module-wise", format!("{module_wise} (parameters of leaf modules alone)"));
    }
    line("MACs", format!("{} (1 MAC = 2 FLOPs)", thousands(size.macs())));
    for PartMacs { part, macs } in &size.macs_by_part {
        let percent = 100.0 * *macs as f64 / size.macs() as f64;
        line(&format!("  {part}"), format!("{} ({percent:.1} %)", thousands(*macs)));
    }
    let megabytes = |numbers: usize| format!("{:.2} MB", (numbers * BYTES) as f64 / 1e6);
    line("input", megabytes(3 * image_size * image_size));
    line("outputs of the layers", megabytes(outputs));
    line("parameters", megabytes(size.params));
    text
}

/// 2851842 as 2,851,842.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    #[test]
    fn thousands_are_set_apart() {
        assert_eq!([0, 999, 1000, 2_851_842].map(super::thousands), ["0", "999", "1,000", "2,851,842"]);
    }
}
