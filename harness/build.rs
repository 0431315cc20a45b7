//! Tells the program the compiler and the git revision that it is built from, if it is built from a checkout.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=../.git/HEAD");
    println!("cargo::rerun-if-changed=../.git/refs/heads");
    let rustc = Command::new(std::env::var_os("RUSTC").unwrap_or("rustc".into())).arg("--version").output();
    if let Some(output) = rustc.ok().filter(|output| output.status.success()) {
        println!("cargo::rustc-env=VITBENCH_RUSTC={}", String::from_utf8_lossy(&output.stdout).trim());
    }
    let describe = Command::new("git").args(["describe", "--always", "--dirty", "--abbrev=10"]).output();
    if let Some(output) = describe.ok().filter(|output| output.status.success()) {
        println!("cargo::rustc-env=VITBENCH_REVISION={}", String::from_utf8_lossy(&output.stdout).trim());
    }
}
