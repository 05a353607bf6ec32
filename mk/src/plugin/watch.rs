//! The plugin beside a kernel that counts events itself: both see the same stretches of a run.

use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use object::{Object, ObjectSection, ObjectSymbol};
use tempfile::NamedTempFile;

use super::LENGTH;
use crate::machine::path_text;

/// Counts of a record: `enum watched` of the plugin.
const WATCHED: usize = 8;

/// The copy routine of programs (user/rt/src/try_access.rs), and where it ends.
pub const COPY: [&str; 2] = ["rt_try_copy", "rt_try_end"];

/// What was seen from outside while the process that observes didn't run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Entries into the kernel out of programs.
    pub entries: u64,
    /// Moves to CR3.
    pub loads: u64,
    /// `invlpg`.
    pub pages: u64,
    /// Bytes of frames that the kernel's string stores wrote.
    pub zeroed: u64,
    /// Bytes that the driver's copy routine wrote, and the other code that is watched.
    pub moved: u64,
    /// Instructions of that routine.
    pub routine: u64,
    /// Times that it was entered.
    pub copies: u64,
}

/// Where the plugin looks: addresses in the kernel, and code that moves bytes, the driver's copy routine
/// first.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Places {
    entry: u64,
    interrupt: u64,
    codes: Vec<(u64, Vec<u8>)>,
}

/// A boot that is watched.
#[derive(Debug)]
pub struct Watch {
    file: NamedTempFile,
    places: Places,
    room: usize,
}

impl Watch {
    /// Watches a kernel and a driver, whose ELF files with symbols these are, for so many records.
    /// `others` are code that moves bytes too: a program's, between two symbols.
    ///
    /// # Errors
    /// A symbol isn't there, or there can be no file.
    pub fn new(
        kernel: &Path,
        driver: &Path,
        others: &[(&Path, [&str; 2])],
        room: usize,
    ) -> Result<Watch> {
        let file = tempfile::Builder::new()
            .prefix("usufruct-watch-")
            .tempfile()
            .context("can't make a file for the counters")?;
        let words = 1 + room * WATCHED;
        file.as_file().set_len((LENGTH + 8 * words) as u64)?;
        let kernel = Elf::read(kernel)?;
        let mut codes = vec![Elf::read(driver)?.code(COPY)?];
        for (program, symbols) in others {
            codes.push(Elf::read(program)?.code(*symbols)?);
        }
        let places = Places {
            entry: kernel.address("system_call_entry")?,
            interrupt: kernel.address("interrupt_user")?,
            codes,
        };
        Ok(Watch { file, places, room })
    }

    /// QEMU's arguments that load the plugin.
    ///
    /// # Errors
    /// A path that QEMU can't be given.
    pub fn arguments(&self, plugin: &Path) -> Result<[String; 2]> {
        let (plugin, file) = (path_text(plugin)?, path_text(self.file.path())?);
        let Places {
            entry,
            interrupt,
            codes,
        } = &self.places;
        let mut text = format!("{plugin},counters={file},entry={entry:x},interrupt={interrupt:x}");
        for (index, (at, code)) in codes.iter().enumerate() {
            let number = match index {
                0 => String::new(),
                index => (index + 1).to_string(),
            };
            let code: String = code.iter().map(|byte| format!("{byte:02x}")).collect();
            text.push_str(&format!(",copy{number}={at:x},code{number}={code}"));
        }
        Ok(["-plugin".into(), text])
    }

    /// The records that there are.
    ///
    /// # Errors
    /// They can't be read, or there were more than there is room for.
    pub fn read(&self) -> Result<Vec<Seen>> {
        let word = |index: usize| -> Result<u64> {
            let mut bytes = [0; 8];
            self.file
                .as_file()
                .read_exact_at(&mut bytes, (LENGTH + 8 * index) as u64)
                .context("can't read the counters")?;
            Ok(u64::from_ne_bytes(bytes))
        };
        let count = usize::try_from(word(0)?)?;
        ensure!(
            count <= self.room,
            "the kernel's counts were read {count} times, expected were at most {}",
            self.room
        );
        (0..count)
            .map(|record| {
                let at = |n: usize| word(1 + record * WATCHED + n);
                Ok(Seen {
                    entries: at(0)?,
                    loads: at(1)?,
                    pages: at(2)?,
                    zeroed: at(3)?,
                    // String moves count as loads and as stores.
                    moved: at(4)?.wrapping_add(at(7)? / 2),
                    routine: at(5)?,
                    copies: at(6)?,
                })
            })
            .collect()
    }
}

/// An ELF file with symbols.
struct Elf<'a> {
    path: &'a Path,
    data: Vec<u8>,
}

impl<'a> Elf<'a> {
    fn read(path: &'a Path) -> Result<Elf<'a>> {
        let data = std::fs::read(path).with_context(|| format!("can't read {}", path.display()))?;
        Ok(Elf { path, data })
    }

    fn file(&self) -> Result<object::File<'_>> {
        object::File::parse(&self.data[..])
            .with_context(|| format!("{} is no ELF file", self.path.display()))
    }

    /// What lies between two symbols, and where.
    fn code(&self, [from, to]: [&str; 2]) -> Result<(u64, Vec<u8>)> {
        let (from, to) = (self.address(from)?, self.address(to)?);
        Ok((from, self.bytes(from, to)?))
    }

    /// The address of a symbol.
    fn address(&self, name: &str) -> Result<u64> {
        let file = self.file()?;
        let found = file.symbols().find(|symbol| symbol.name() == Ok(name));
        let symbol = found.with_context(|| format!("{} has no {name}", self.path.display()))?;
        Ok(symbol.address())
    }

    /// What lies between two addresses.
    fn bytes(&self, from: u64, to: u64) -> Result<Vec<u8>> {
        let file = self.file()?;
        let bytes = file.sections().find_map(|section| {
            let length = to.checked_sub(from)?;
            section.data_range(from, length).ok().flatten()
        });
        let bytes = bytes.with_context(|| {
            format!(
                "{} has nothing from {from:#x} to {to:#x}",
                self.path.display()
            )
        })?;
        Ok(bytes.to_vec())
    }
}
