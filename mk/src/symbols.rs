//! Makes names of addresses: what backtraces of the kernel and of programs look like to people.
//!
//! The guest prints a line `    #N IMAGE 0xADDR` for each frame, IMAGE being `kernel` or a
//! program's name; it has no symbols of its own. [`Symbols`] appends function, file and line, out
//! of the unstripped ELF files. [`Filter`] does that to a byte stream without delaying what is
//! typed and echoed.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use addr2line::Loader;

use crate::artifacts::Artifacts;

mod filter;

pub use filter::Filter;

/// The symbols of a build.
pub struct Symbols {
    files: BTreeMap<String, PathBuf>,
    /// Opened at first use. `None`: can't be read.
    loaders: BTreeMap<String, Option<Loader>>,
    /// Prefix of source paths that is left out.
    root: PathBuf,
}

impl std::fmt::Debug for Symbols {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Symbols")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

/// A line of a backtrace, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Frame<'a> {
    number: u32,
    image: &'a str,
    address: u64,
}

impl Symbols {
    /// The symbols of what was built.
    pub fn of(artifacts: &Artifacts, root: &Path) -> Symbols {
        let files = artifacts.built.iter();
        Symbols::new(
            files.map(|built| (built.name.clone(), built.symbols.clone())),
            root,
        )
    }

    /// Symbols out of these files, by image name.
    pub fn new(files: impl IntoIterator<Item = (String, PathBuf)>, root: &Path) -> Symbols {
        Symbols {
            files: files.into_iter().collect(),
            loaders: BTreeMap::new(),
            root: root.to_path_buf(),
        }
    }

    /// From now on `image` is the program `program`: it was put in the other's place.
    pub fn alias(&mut self, image: &str, program: &str) {
        self.loaders.remove(image);
        if let Some(file) = self.files.get(program).cloned() {
            self.files.insert(image.to_string(), file);
        }
    }

    /// What to append to a line of console output: nothing, unless it is a frame of a backtrace
    /// whose address is known.
    pub fn annotate(&mut self, line: &str) -> Option<String> {
        let frame = parse(line)?;
        let file = self.files.get(frame.image)?;
        let loader = self
            .loaders
            .entry(frame.image.to_string())
            .or_insert_with(|| Loader::new(file).ok())
            .as_ref()?;
        // All but the first are return addresses: the call is before them, perhaps on another line
        // or in another function.
        let address = if frame.number == 0 {
            frame.address
        } else {
            frame.address.checked_sub(1)?
        };
        describe(loader, address, &self.root)
    }

    /// Copies text, annotating its backtraces.
    ///
    /// # Errors
    /// Writing fails.
    pub fn filter<W: Write>(self, to: W) -> Filter<W> {
        Filter::new(self, to)
    }
}

fn describe(loader: &Loader, address: u64, root: &Path) -> Option<String> {
    let mut inlined = Vec::new();
    if let Ok(mut frames) = loader.find_frames(address) {
        while let Ok(Some(frame)) = frames.next() {
            let name = frame.function.as_ref().and_then(|name| {
                let demangled = name.demangle().ok()?;
                Some(short_name(&demangled).to_string())
            });
            let place = frame.location.as_ref().and_then(|location| {
                let file = Path::new(location.file?);
                let file = file.strip_prefix(root).unwrap_or(file).display();
                Some(match location.line {
                    Some(line) => format!("{file}:{line}"),
                    None => file.to_string(),
                })
            });
            inlined.push(match (name, place) {
                (Some(name), Some(place)) => format!("{name} ({place})"),
                (Some(one), None) | (None, Some(one)) => one,
                (None, None) => continue,
            });
        }
    }
    if inlined.is_empty() {
        let symbol = loader.find_symbol(address)?;
        return Some(short_name(&addr2line::demangle_auto(symbol.into(), None)).to_string());
    }
    Some(inlined.join(" in "))
}

/// A demangled name without the hash that tells instances apart.
fn short_name(name: &str) -> &str {
    match name.rsplit_once("::h") {
        Some((front, hash)) if hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit()) => {
            front
        }
        _ => name,
    }
}

/// The frame at the end of a line. What stands before it, such as a log line's time, doesn't matter:
/// an image of that name must be known besides.
fn parse(line: &str) -> Option<Frame<'_>> {
    let (before, rest) = line.trim_end().rsplit_once('#')?;
    if !before.is_empty() && !before.ends_with(' ') {
        return None;
    }
    let mut words = rest.split(' ');
    let (number, image, address) = (words.next()?, words.next()?, words.next()?);
    if words.next().is_some() {
        return None;
    }
    Some(Frame {
        number: number.parse().ok()?,
        image,
        address: u64::from_str_radix(address.strip_prefix("0x")?, 16).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_of_that_form_are_frames() {
        let frame = Frame {
            number: 3,
            image: "netstack",
            address: 0x20_1234,
        };
        for line in [
            "    #3 netstack 0x201234",
            "    #3 netstack 0x201234\r",
            "[    1.5] init:     #3 netstack 0x201234",
        ] {
            assert_eq!(parse(line), Some(frame), "{line:?}");
        }
        for line in [
            "x#3 netstack 0x201234",
            "    #x netstack 0x201234",
            "    #3 netstack 201234",
            "    #3 netstack",
            "    #3 netstack 0x201234 main",
            "    #3 netstack 0x11112222333344445",
            "",
        ] {
            assert_eq!(parse(line), None, "{line:?}");
        }
    }

    #[test]
    fn an_address_in_a_program_gets_its_function_and_line() {
        // This test's own program stands in for a guest's.
        let own = std::env::current_exe().unwrap();
        let loader = Loader::new(&own).unwrap();
        let wanted = parse as fn(&str) -> Option<Frame<'_>> as usize as u64;
        // Where the program was loaded: its file's address of a function is found by its symbol.
        let mut symbols = Symbols::new([("kernel".to_string(), own)], Path::new("/"));
        let base = wanted & !0xfff;
        let found = (0..0x4000u64)
            .map(|page| base.wrapping_sub(page << 12))
            .find_map(|base| {
                let address = wanted.checked_sub(base)?;
                let text = describe(&loader, address, Path::new("/"))?;
                text.contains("symbols::parse").then_some(address)
            });
        let address = found.expect("the function's own address is in its symbols");
        let line = format!("    #0 kernel {address:#x}");
        let text = symbols.annotate(&line).unwrap();
        assert!(text.contains("symbols.rs:"), "{text}");
        // One byte before it is another function: return addresses are looked up so.
        let before = symbols.annotate(&format!("    #1 kernel {address:#x}"));
        assert_ne!(before.as_ref(), Some(&text));
        assert_eq!(symbols.annotate(&format!("    #1 bash {address:#x}")), None);
        assert_eq!(symbols.annotate("    #1 kernel 0x0"), None);
    }

    #[test]
    fn hashes_of_symbols_are_left_out() {
        assert_eq!(short_name("a::b::h0123456789abcdef"), "a::b");
        assert_eq!(short_name("a::hello"), "a::hello");
    }
}
