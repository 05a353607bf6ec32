//! Boots Usufruct in QEMU for tests, looks at its console and is its wire.
//!
//! A case is a function of a few lines, listed in `tests/cases/`:
//!
//! ```ignore
//! fn alice_answers_a_ping(case: &Case) -> Result<()> {
//!     let mut guest = Boot::new(case).users(2)?.net(Net::Wire).start()?;
//!     guest.expect("alice is up", seconds(10))?;
//!     let mut peer = Peer::new(guest.take_wire()?, "10.0.2.2/24")?;
//!     peer.ping("10.0.2.21".parse()?, seconds(2))?;
//!     guest.send_line("halt")?;
//!     guest.wait_exit(seconds(5))?.expect(Outcome::Halted)
//! }
//! ```
//!
//! - [`Boot`] describes a boot and starts it; the bare-metal programs are built at the first one.
//! - [`Guest`] is the running machine: console, end, wire. Dropping it kills QEMU.
//! - [`Wire`] carries raw ethernet frames, one a datagram; [`Peer`] is a host with a TCP/IP stack
//!   on it; [`frames`] makes frames that no honest host would send.
//! - [`Payload`] stands in for the kernel, to prove the harness itself.
//!
//! Every wait has a limit. A case that fails prints how its guests ended, the last lines of their
//! consoles and the command that runs it again. At most two cases run at once.
//!
//! `cargo mk test` sets these variables; without them the defaults hold, so that
//! `cargo test -p system` works too (it builds what it boots, and needs QEMU and the bare target:
//! `cargo mk setup`):
//!
//! | variable | meaning |
//! | --- | --- |
//! | `USUFRUCT_ACCEL`, `USUFRUCT_SMP`, `USUFRUCT_MEMORY` | the machine, where a case doesn't say |
//! | `USUFRUCT_TIMEOUT` | seconds for each wait, instead of what the case says |
//! | `USUFRUCT_VERBOSE` | print QEMU's command lines |

mod boot;
mod case;
mod console;
mod environment;
mod guest;
mod idleness;
mod payload;
mod peer;
mod wire;

pub use boot::{Boot, Net};
pub use case::{Case, Entry, report_of, run};
pub use environment::{milliseconds, seconds};
pub use guest::{Guest, Match};
pub use idleness::Idleness;
pub use mk::frames;
pub use mk::outcome::Outcome;
pub use payload::Payload;
pub use peer::{Heard, HttpResponse, Peer, TcpStream};
pub use wire::Wire;

/// Makes a wrong outcome a failure of the case.
pub trait ExpectOutcome {
    /// Fails unless this is how the boot ended.
    ///
    /// # Errors
    /// It ended otherwise.
    fn expect(self, wanted: Outcome) -> anyhow::Result<()>;
}

impl ExpectOutcome for Outcome {
    fn expect(self, wanted: Outcome) -> anyhow::Result<()> {
        if self == wanted {
            Ok(())
        } else {
            anyhow::bail!("it should have ended so: {wanted}; but: {self}")
        }
    }
}
