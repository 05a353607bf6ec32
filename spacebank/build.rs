//! Links the program with rt's linker script.

fn main() {
    if let Ok(script) = std::env::var("DEP_USUFRUCT_RT_SCRIPT") {
        println!("cargo::rustc-link-arg-bins=-T{script}");
    }
}
