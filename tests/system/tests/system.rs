//! The QEMU cases. Each is a function in a module under `cases/`, and a line in its list.

mod cases;

use std::process::ExitCode;

fn main() -> ExitCode {
    system::run(cases::ALL)
}
