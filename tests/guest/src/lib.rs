//! Guest programs of the tests and benches, and what they share.
//!
//! | program | what it does | needs |
//! | --- | --- | --- |
//! | `hello` | the tutorial's program | a bank, the log |
//! | `bench` | prints the kernel's figures | the reset and `DeviceDma` capabilities; a bank of 1,200 objects |
//! | `echo` | prints what an echo through driver and stack costs, over the simulated wire | init's place; `bin/ethdrv` and `bin/netstack` in the archive |
//! | `crossover` | prints what frames cost that are copied, left in place or exchanged, over the simulated wire, and isolated operations | init's place; `bin/ethdrv`, `bin/recipient`, `bin/isolated` and `etc/crossover` in the archive |
//! | `recipient` | receives frames, for `crossover` | what a stack gets |
//! | `isolated` | does isolated operations, for `crossover` | a bank of 400, a bound aperture |
//! | `invoker` | makes every wrong invocation and compares the errors with `abi::method` | init's place: all of its authorities, and control of the log; a bank of 300 |
//! | `faulty` | lets children fault in every way; with an argument, faults itself in that way | the reset capability; a bank of 100 |
//! | `runtime` | loses memory, heap and slots, and goes on | the reset capability; a bank of 300 |
//! | `checker` | stands in for `netstack`: checks numbered frames, searches its receive memory | what a stack gets |
//! | `fuzzer` | has hostile processes invoke by a grammar, and looks at what they come by | init's place; `bin/fuzzer` in the archive |
//! | `sweep` | revokes at each kernel entry of each scenario, over the simulated wire | init's place; `bin/ethdrv`, `bin/netstack` and `bin/swept` in the archive |
//! | `swept` | the sweep's clients and its injector | what `sweep` gives |
//! | `rogue` | stands in for `netstack`, honest or hostile by the user's name | what a stack gets |
//!
//! They run in init's place, or are started by init, with init's authorities in the same slots
//! (`abi::boot::slot::INIT_*`, which are `GRANT` and the following). All but `hello`, `checker`, `swept` and `rogue` stop the machine
//! when they are done: with code 0 when all is well, otherwise with 2.
#![no_std]

#[cfg(all(feature = "bare", target_os = "none"))]
extern crate alloc;
#[cfg(test)]
extern crate std;

#[cfg(all(feature = "bare", target_os = "none"))]
pub mod children;
#[cfg(all(feature = "bare", target_os = "none"))]
pub mod code;
pub mod numbered;
pub mod operations;
#[cfg(all(feature = "bare", target_os = "none"))]
pub mod report;
pub mod statistics;
pub mod sweeping;
pub mod traffic;
#[cfg(all(feature = "bare", target_os = "none"))]
pub mod wired;

#[cfg(test)]
mod tests {
    /// Finds a file in the tutorial, as a block of its own.
    fn shown(kind: &str, text: &str) -> bool {
        let tutorial = include_str!("../../../docs/tutorial.md");
        tutorial.contains(&std::format!("\n```{kind}\n{text}```\n"))
    }

    #[test]
    fn the_tutorial_shows_the_program_that_is_built() {
        assert!(shown("rust", include_str!("hello.rs")));
        assert!(shown("rust", include_str!("../build.rs")));
        let manifest = include_str!("../Cargo.toml");
        let from = manifest.find("[[bin]]\nname = \"hello\"").unwrap();
        let section = manifest[from..].split("\n\n").next().unwrap();
        assert!(shown("toml", &std::format!("{section}\n")));
    }
}
