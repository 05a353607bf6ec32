//! Keeps the driver busy with nothing.

use dev::Program;
use dev::bare::This;
use dev::session::Session;
use rt::Kernel;

use crate::PORT;

/// Notifications before each question.
const AT_ONCE: u32 = 32;

/// Wakes the driver again and again, and asks it what it has told before. Answers how often it woke it.
pub fn storm(program: &This, session: &Session<This>, milliseconds: u32) -> u32 {
    let end = program.now() + u64::from(milliseconds) * 1_000_000;
    let mut kicks = 0;
    while program.now() < end {
        for _ in 0..AT_ONCE {
            // Whether there is a driver any more shows when the session is used.
            let _ = session.caps().kick.signal(&Kernel);
            kicks += 1;
        }
        let _ = PORT.describe(&Kernel);
    }
    kicks
}
