use crate::device;
use crate::report::terminal_table;

/// Prints every device, and whether it works here.
pub(super) fn execute() {
    let mut table = terminal_table(&["device", "here", "remarks"]);
    for name in device::ALL {
        let (here, remark) = match name.open() {
            Ok(_) => ("yes", name.remark().to_owned()),
            Err(crate::error::Error::Input { problem, .. }) => ("no", problem),
            Err(error) => ("no", error.to_string()),
        };
        table.add_row([name.as_str(), here, &remark]);
    }
    println!("{}", table.trim_fmt());
}
