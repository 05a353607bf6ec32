//! The boot archive: a tar file.

use init::archive::Archive;

use crate::Target;

/// The target.
pub const TARGET: Target = Target {
    name: "archive",
    about: "boot archives",
    run,
    seeds,
};

fn run(bytes: &[u8]) {
    let Ok(archive) = Archive::open(bytes) else {
        return;
    };
    for path in ["bin/init", "etc/manifest.toml", "a", ""] {
        if let Ok(file) = archive.file(path) {
            assert!(file.len() <= bytes.len());
        }
    }
}

/// A header of a tar file, and the contents.
pub fn file(path: &str, contents: &[u8]) -> Vec<u8> {
    let mut block = vec![0; 512];
    block[..path.len()].copy_from_slice(path.as_bytes());
    block[100..108].copy_from_slice(b"0000644\0");
    let size = format!("{:011o}\0", contents.len());
    block[124..136].copy_from_slice(size.as_bytes());
    block[156] = b'0';
    block[257..265].copy_from_slice(b"ustar\x0000");
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block.extend(contents);
    block.resize(block.len().next_multiple_of(512), 0);
    block
}

fn seeds() -> Vec<Vec<u8>> {
    let mut archive = file("bin/init", b"\x7fELF");
    archive.extend(file("etc/manifest.toml", b"[[user]]\nname = \"a\"\n"));
    archive.extend([0; 1024]);
    vec![archive, file("a", &[]), vec![0; 1024]]
}
