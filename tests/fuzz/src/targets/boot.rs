//! What the kernel tells init at its start, and the words of its command line.

use abi::boot::INIT_MAGIC;
use init::boot::{Boot, Options};

use crate::Target;

/// The target.
pub const TARGET: Target = Target {
    name: "boot",
    about: "boot pages and command lines",
    run,
    seeds,
};

fn run(bytes: &[u8]) {
    if let Ok(boot) = Boot::parse(bytes) {
        let _ = Options::parse(&boot.command_line);
    }
    let _ = Options::parse(&String::from_utf8_lossy(bytes));
}

fn seeds() -> Vec<Vec<u8>> {
    let line = b"exit=0xf4 log=info users=off program=bin/hello program-bank=10 init=echo seed=7";
    let mut page = INIT_MAGIC.to_le_bytes().to_vec();
    page.extend(0x4000_0000_u64.to_le_bytes());
    page.extend(4096_u64.to_le_bytes());
    page.extend(30_000_u32.to_le_bytes());
    page.extend(1_u32.to_le_bytes());
    page.extend((line.len() as u64).to_le_bytes());
    page.extend(line);
    vec![page, line.to_vec()]
}
