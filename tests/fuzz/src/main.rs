//! What libFuzzer calls. The variable `FUZZ_TARGET` says which target; into the folder that `FUZZ_SEEDS`
//! names, if it does, its seeds are written first, for libFuzzer to begin with.
#![no_main]

use std::path::Path;
use std::sync::OnceLock;

use fuzz::{TARGETS, Target};
use libfuzzer_sys::fuzz_target;

static TARGET: OnceLock<&'static Target> = OnceLock::new();

fn target() -> &'static Target {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    Target::named(&name).unwrap_or_else(|| {
        let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
        eprintln!("FUZZ_TARGET is '{name}': there are {}", names.join(", "));
        std::process::exit(2);
    })
}

/// Writes the seeds, before libFuzzer reads its folders.
fn write_seeds() {
    let Some(folder) = std::env::var_os("FUZZ_SEEDS") else {
        return;
    };
    let folder = Path::new(&folder);
    for (n, seed) in (TARGET.get_or_init(target).seeds)().iter().enumerate() {
        if let Err(error) = std::fs::write(folder.join(format!("seed-{n}")), seed) {
            eprintln!("FUZZ_SEEDS: {}: {error}", folder.display());
            std::process::exit(2);
        }
    }
}

fuzz_target!(init: write_seeds(), |bytes: &[u8]| (TARGET.get_or_init(target).run)(bytes));
