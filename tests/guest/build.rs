//! Hands the runtime's linker script to the linker; does nothing on the host.

fn main() {
    // Otherwise a change of one program would have all of them built again.
    println!("cargo::rerun-if-changed=build.rs");
    if let Ok(script) = std::env::var("DEP_USUFRUCT_RT_SCRIPT") {
        println!("cargo::rustc-link-arg-bins=-T{script}");
    }
}
