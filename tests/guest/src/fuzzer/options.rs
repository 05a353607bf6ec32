//! What the kernel's command line asks for.

use abi::boot::layout;
use init::archive::Archive;
use init::boot::Boot;

use crate::round::Found;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The first seed.
    pub seed: u64,
    /// How many seeds.
    pub rounds: u64,
    /// Invocations with each.
    pub invocations: u64,
}

impl Options {
    /// Reads the arguments page, and finds the boot archive.
    ///
    /// # Errors
    /// It holds no boot data, or a word is no number.
    pub fn read(arguments: &[u8]) -> Result<(Options, Archive<'static>), Found> {
        let boot = Boot::parse(arguments).map_err(|_| Found::new("there is no boot data"))?;
        let number = |key: &str, otherwise: u64| {
            let words = boot.command_line.split_whitespace();
            let mut values = words.filter_map(|word| word.strip_prefix(key)?.strip_prefix('='));
            match values.next_back().map(str::parse) {
                None => Ok(otherwise),
                Some(Ok(number)) => Ok(number),
                Some(Err(_)) => Err(Found::new("a word of the command line is no number")),
            }
        };
        let options = Options {
            seed: number("seed", 1)?,
            rounds: number("rounds", 10)?,
            invocations: number("invocations", 20_000)?,
        };
        Ok((options, archive(&boot)?))
    }
}

fn archive(boot: &Boot) -> Result<Archive<'static>, Found> {
    debug_assert!(boot.archive >= layout::BULK);
    let start = core::ptr::with_exposed_provenance(boot.archive as usize);
    let bytes = match boot.archive_bytes {
        0 => &[][..],
        // SAFETY:
        // - the kernel mapped that many bytes there, read-only, before the program ran;
        // - nobody unmaps or changes them.
        bytes => unsafe { core::slice::from_raw_parts::<u8>(start, bytes as usize) },
    };
    Archive::open(bytes).map_err(|_| Found::new("there is no boot archive"))
}
