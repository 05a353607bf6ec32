//! The boot archive: a tar file (ustar) that QEMU hands to the kernel as its initrd.
//!
//! `bin/NAME` for each program, `etc/manifest.toml`, and what a test adds. The same contents give
//! the same bytes: entries are sorted, and carry no times, owners or modes of the host's.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// An archive in the making.
#[derive(Clone, Debug, Default)]
pub struct Archive {
    files: BTreeMap<String, Vec<u8>>,
}

impl Archive {
    /// An empty archive.
    pub fn new() -> Archive {
        Archive::default()
    }

    /// Adds a file, or puts another in its place.
    pub fn add(&mut self, path: impl Into<String>, contents: impl Into<Vec<u8>>) -> &mut Archive {
        self.files.insert(path.into(), contents.into());
        self
    }

    /// Adds a program under `bin/`.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn add_program(&mut self, name: &str, file: &Path) -> Result<&mut Archive> {
        let contents =
            std::fs::read(file).with_context(|| format!("can't read {}", file.display()))?;
        Ok(self.add(format!("bin/{name}"), contents))
    }

    /// Takes a file out; says whether there was one.
    pub fn remove(&mut self, path: &str) -> bool {
        self.files.remove(path).is_some()
    }

    /// The paths in the archive, sorted.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// Writes the archive.
    ///
    /// # Errors
    /// A path does not fit into a ustar header or leads out of the archive, or writing fails.
    pub fn write(&self, to: impl Write) -> Result<()> {
        let mut builder = tar::Builder::new(to);
        for (path, contents) in &self.files {
            // The guest's reader knows plain ustar names of at most 100 bytes.
            if path.len() > 99 || path.starts_with('/') || path.split('/').any(|part| part == "..")
            {
                bail!("{path:?} can't stand in a boot archive");
            }
            let mut header = tar::Header::new_ustar();
            header
                .set_path(path)
                .with_context(|| format!("{path:?} is no path"))?;
            header.set_size(contents.len() as u64);
            header.set_mode(if path.starts_with("bin/") {
                0o755
            } else {
                0o644
            });
            header.set_mtime(0);
            header.set_uid(0);
            header.set_gid(0);
            header.set_cksum();
            builder.append(&header, &contents[..])?;
        }
        builder.into_inner()?.flush()?;
        Ok(())
    }

    /// Writes the archive to a file.
    ///
    /// # Errors
    /// As for [`Archive::write`].
    pub fn save(&self, file: &Path) -> Result<()> {
        let mut bytes = Vec::new();
        self.write(&mut bytes)?;
        std::fs::write(file, bytes).with_context(|| format!("can't write {}", file.display()))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn bytes(archive: &Archive) -> Vec<u8> {
        let mut bytes = Vec::new();
        archive.write(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn same_contents_same_bytes_in_whatever_order_they_came() {
        let mut one = Archive::new();
        one.add("bin/b", "B")
            .add("bin/a", "A")
            .add("etc/manifest.toml", "");
        let mut other = Archive::new();
        other
            .add("etc/manifest.toml", "")
            .add("bin/a", "old")
            .add("bin/b", "B")
            .add("bin/a", "A");
        assert_eq!(bytes(&one), bytes(&other));
    }

    #[test]
    fn a_tar_reader_finds_what_was_put_in() {
        let mut archive = Archive::new();
        archive.add("bin/a", vec![7; 1000]).add("etc/x", "text");
        let bytes = bytes(&archive);
        let mut reader = tar::Archive::new(&bytes[..]);
        let mut found = Vec::new();
        for entry in reader.entries().unwrap() {
            let mut entry = entry.unwrap();
            assert_eq!(entry.header().mtime().unwrap(), 0);
            let mut contents = Vec::new();
            entry.read_to_end(&mut contents).unwrap();
            found.push((entry.path().unwrap().display().to_string(), contents.len()));
        }
        assert_eq!(
            found,
            [("bin/a".to_string(), 1000), ("etc/x".to_string(), 4)]
        );
    }

    #[test]
    fn names_that_the_guest_could_not_read_are_refused() {
        for path in ["/etc/x", "../x", &"x".repeat(100)] {
            let mut archive = Archive::new();
            archive.add(path, "");
            assert!(archive.write(Vec::new()).is_err(), "{path}");
        }
    }
}
