//! A machine whose copies can't be timed: it says so, and is asked for nothing else.

/// They can't.
pub fn available() -> bool {
    false
}

/// No counter.
pub fn ticks() -> u64 {
    0
}

/// Nothing to wait for.
pub fn fence() {}

/// No cache is known.
pub fn forget(_: &[u8]) {}

/// A plain copy.
pub fn copy_bytes(target: &mut [u8], source: &[u8]) {
    target
        .iter_mut()
        .zip(source)
        .for_each(|(to, from)| *to = *from);
}

/// A plain copy.
pub fn copy_words(target: &mut [u8], source: &[u8]) {
    copy_bytes(target, source);
}

/// A sum.
pub fn read(bytes: &[u8]) -> u64 {
    bytes.iter().map(|byte| u64::from(*byte)).sum()
}
