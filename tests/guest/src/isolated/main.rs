//! Does isolated operations for the crossover bench ([`guest::operations`]): a server that is told
//! which, how often, and when to prepare.
#![no_std]
#![no_main]

mod bed;
mod loops;

use abi::error::{self, Status};
use guest::children::Failed;
use guest::operations::{ALL, Operation, step};
use guest::say;
use rt::Kernel;
use sys::{Event, Message, Request, Sys};

use bed::Bed;

rt::entry!(main);

fn main() {
    if let Err(error) = serve() {
        say!("isolated: {error}");
    }
}

fn serve() -> Result<(), Failed> {
    let mut bed = Bed::new()?;
    let mut event = Kernel.wait([0; 4]);
    loop {
        event = match event {
            Event::Request(request) => {
                let (status, words) = match answer(&mut bed, &request) {
                    Ok(words) => (error::OK, words),
                    Err(status) => (status, [0; 3]),
                };
                Kernel.reply_and_wait(status, &Message::new(&words))
            }
            Event::Notified { .. } => Kernel.wait([0; 4]),
        };
    }
}

/// Does a step. Answers copies, bytes copied and bytes zeroed.
fn answer(bed: &mut Bed, request: &Request) -> Result<[u64; 3], Status> {
    let [number, step, times, ..] = request.words;
    let wrong = error::status(error::EINVAL);
    let operation: &Operation = ALL.get(number as usize).ok_or(wrong)?;
    let refused = |failed: Failed| match failed {
        Failed::Prepare(error) => error.0,
        _ => error::status(error::EIO),
    };
    match step {
        step::PREPARE => bed.prepare(operation).map_err(refused)?,
        step::DO => {
            bed.work(operation, times).map_err(refused)?;
            return Ok(operation.moved(times));
        }
        step::FINISH => bed.finish(operation).map_err(refused)?,
        _ => return Err(wrong),
    }
    Ok([0; 3])
}
