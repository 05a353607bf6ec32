//! What whoever started the program wants it to know.

use abi::PAGE_SIZE;
use abi::boot::layout;
use serde::Deserialize;

/// Most bytes of arguments.
pub const LIMIT: usize = PAGE_SIZE - size_of::<u32>();

/// The bytes as they were given; empty when the length makes no sense.
pub fn bytes() -> &'static [u8] {
    let page = core::ptr::with_exposed_provenance::<u8>(layout::ARGUMENTS as usize);
    // SAFETY: whoever starts a program maps a page of arguments here, read-only, before its first
    // instruction. A page is mapped in one place, so nobody changes it afterwards.
    let page = unsafe { core::slice::from_raw_parts(page, PAGE_SIZE) };
    let (length, bytes) = page.split_at(size_of::<u32>());
    let length = length
        .iter()
        .rev()
        .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
    bytes.get(..length).unwrap_or(&[])
}

/// The arguments, as postcard reads them.
///
/// # Errors
/// They are not a `T`.
pub fn arguments<T: Deserialize<'static>>() -> Result<T, postcard::Error> {
    postcard::from_bytes(bytes())
}
