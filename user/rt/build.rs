//! Tells programs where the linker script lies.
//!
//! A program's own build script finds it as `DEP_USUFRUCT_RT_SCRIPT`, which is set for the bare
//! target only, and hands it to the linker; the crate's documentation has the three lines.

use std::env;
use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=program.ld");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("none") {
        return;
    }
    let folder = env::var("CARGO_MANIFEST_DIR").expect("cargo sets this for build scripts");
    println!(
        "cargo::metadata=SCRIPT={}",
        Path::new(&folder).join("program.ld").display()
    );
}
