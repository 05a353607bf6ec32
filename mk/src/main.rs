//! `cargo mk`: see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    match mk::verbs::execute(mk::cli::read()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("mk: {error:#}");
            ExitCode::FAILURE
        }
    }
}
