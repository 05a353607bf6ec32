//! init, the first program: hands what the kernel gave it to the library.
#![no_std]
#![no_main]

use core::convert::Infallible;

use dev::bare::This;
use init::Init;
use init::boot::Boot;
use init::failure::{Failure, Trying};

rt::entry!(main);

fn main() -> Result<(), Failure> {
    run().map(|never| match never {})
}

fn run() -> Result<Infallible, Failure> {
    let boot = Boot::parse(rt::arguments::bytes())
        .map_err(|error| Failure::new("reading the boot data", error))?;
    let start = core::ptr::with_exposed_provenance(boot.archive as usize);
    let archive = match boot.archive_bytes {
        0 => &[][..],
        // SAFETY:
        // - the kernel, which init trusts, mapped that many bytes there, read-only, before init ran;
        // - their pages are nobody else's, and init unmaps nothing there, so they stay as they are.
        bytes => unsafe { core::slice::from_raw_parts::<u8>(start, bytes as usize) },
    };
    let host = This::new().trying("reading the clock")?;
    let mut init = Init::new(&host, boot, archive)?;
    init.start();
    init.run()
}
