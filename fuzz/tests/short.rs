//! A short round of feeding, always the same.

use std::process::Command;

#[test]
fn readers_bear_what_they_are_given() {
    let found = tempfile::tempdir().unwrap();
    let output =
        Command::new(env!("CARGO_BIN_EXE_fuzz")).args(["--inputs", "400", "--found"]).arg(found.path()).output();
    let output = output.unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(
        text.lines().filter(|line| line.contains(" inputs, ") && line.ends_with("; 0 faults")).count(),
        8,
        "{text}"
    );
}
