//! The boot archive: a POSIX ustar file in memory that holds the programs and the manifest.
//!
//! The whole archive is checked once when it is opened, by `tar_no_std`; afterwards looking up a
//! file can only fail because the file isn't there.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use tar_no_std::TarArchiveRef;

/// An archive that was checked.
#[derive(Clone, Debug)]
pub struct Archive<'a> {
    files: Vec<(String, &'a [u8])>,
}

/// What is wrong with the archive, or with a file of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveError(String);

impl fmt::Display for ArchiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for ArchiveError {}

impl<'a> Archive<'a> {
    /// Checks an archive and lists its files.
    ///
    /// # Errors
    /// It is empty, or no whole ustar archive.
    pub fn open(bytes: &'a [u8]) -> Result<Archive<'a>, ArchiveError> {
        if bytes.is_empty() {
            let what = "there is no boot archive: give QEMU one with -initrd";
            return Err(ArchiveError(what.into()));
        }
        // The boot loader may have padded the file; tar counts in blocks of 512 bytes.
        let whole = &bytes[..bytes.len() / 512 * 512];
        let archive = TarArchiveRef::new(whole)
            .map_err(|error| ArchiveError(format!("the boot archive is broken: {error}")))?;
        let mut files = Vec::new();
        for entry in archive.entries() {
            let name = entry.filename();
            let name = name.as_str().map_err(|_| {
                ArchiveError("the boot archive has a file name that is not text".into())
            })?;
            let name = name.strip_prefix("./").unwrap_or(name);
            files.push((String::from(name), entry.data()));
        }
        Ok(Archive { files })
    }

    /// An archive without files.
    pub fn empty() -> Archive<'a> {
        Archive { files: Vec::new() }
    }

    /// A file's bytes.
    ///
    /// # Errors
    /// It isn't there; the error names the files that are.
    pub fn file(&self, path: &str) -> Result<&'a [u8], ArchiveError> {
        let found = self.files.iter().find(|(name, _)| name == path);
        found.map(|(_, data)| *data).ok_or_else(|| {
            let names: Vec<&str> = self.files.iter().map(|(name, _)| name.as_str()).collect();
            let there = match names.as_slice() {
                [] => String::from("no files"),
                _ => names.join(" "),
            };
            ArchiveError(format!("the boot archive has no {path}; it has {there}"))
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    /// One ustar header (POSIX.1-1988): name at 0, mode at 100, size at 124, checksum at 148, type at
    /// 156, magic at 257.
    fn member(name: &str, data: &[u8]) -> Vec<u8> {
        let mut block = vec![0u8; 512];
        block[..name.len()].copy_from_slice(name.as_bytes());
        block[100..108].copy_from_slice(b"0000644\0");
        block[108..116].copy_from_slice(b"0000000\0");
        block[116..124].copy_from_slice(b"0000000\0");
        block[124..136].copy_from_slice(format!("{:011o}\0", data.len()).as_bytes());
        block[136..148].copy_from_slice(b"00000000000\0");
        block[148..156].copy_from_slice(b"        ");
        block[156] = b'0';
        block[257..265].copy_from_slice(b"ustar\x0000");
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        block.extend(data);
        block.resize(block.len().next_multiple_of(512), 0);
        block
    }

    pub(crate) fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut bytes: Vec<u8> = files
            .iter()
            .flat_map(|(name, data)| member(name, data))
            .collect();
        bytes.extend([0; 1024]);
        bytes
    }

    #[test]
    fn files_are_found() {
        let bytes = archive(&[
            ("bin/netstack", &[7; 700]),
            ("./etc/manifest.toml", b"x = 1"),
            ("empty", b""),
        ]);
        let archive = Archive::open(&bytes).unwrap();
        assert_eq!(archive.file("bin/netstack").unwrap(), &[7; 700]);
        assert_eq!(archive.file("etc/manifest.toml").unwrap(), b"x = 1");
        assert_eq!(archive.file("empty").unwrap(), b"");
        let error = archive.file("bin/nothing").unwrap_err().to_string();
        assert_eq!(
            error,
            "the boot archive has no bin/nothing; it has bin/netstack etc/manifest.toml empty"
        );
    }

    use alloc::string::ToString;

    #[test]
    fn a_padded_archive_is_whole() {
        let mut bytes = archive(&[("a", b"1")]);
        bytes.extend([0; 300]);
        assert_eq!(Archive::open(&bytes).unwrap().file("a").unwrap(), b"1");
    }

    #[test]
    fn broken_archives_say_so() {
        let what = |bytes: &[u8]| Archive::open(bytes).unwrap_err().to_string();
        assert!(what(b"").contains("there is no boot archive"));
        assert!(what(&[0; 100]).contains("broken"));
        assert!(what(&[1; 4096]).contains("broken"));
        let mut bytes = archive(&[("a", b"1")]);
        bytes[0] ^= 1;
        assert!(what(&bytes).contains("checksum"));
        let bytes = archive(&[("a", &[1; 5000])]);
        assert!(what(&bytes[..2048]).contains("extends beyond"));
    }

    proptest! {
        #[test]
        fn no_bytes_break_it(
            flips in prop::collection::vec((0usize..3072, any::<u8>()), 0..8),
            length in 0usize..3072,
        ) {
            let mut bytes = archive(&[("bin/a", &[7; 600]), ("b", b"")]);
            for (at, value) in flips {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = value;
                }
            }
            bytes.truncate(length);
            if let Ok(archive) = Archive::open(&bytes) {
                let _ = archive.file("bin/a");
            }
        }
    }
}
