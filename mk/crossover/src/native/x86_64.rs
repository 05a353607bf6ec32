//! The instructions that are timed, and those that time them.

#![allow(unsafe_code)]

use core::arch::asm;
use core::arch::x86_64::{__cpuid, _mm_clflush, _mm_lfence, _mm_mfence, _rdtsc};

const LINE: usize = 64;

/// Whether the time-stamp counter ticks evenly, whatever the clock does (CPUID 8000_0007h, EDX bit 8).
pub fn available() -> bool {
    const ADVANCED_POWER: u32 = 0x8000_0007;
    __cpuid(0x8000_0000).eax >= ADVANCED_POWER && __cpuid(ADVANCED_POWER).edx & 1 << 8 != 0
}

/// The time-stamp counter, when everything before has been done.
pub fn ticks() -> u64 {
    // SAFETY: every x86_64 CPU has both instructions, and they touch no memory.
    unsafe {
        _mm_lfence();
        let ticks = _rdtsc();
        _mm_lfence();
        ticks
    }
}

/// Waits until what was written is seen.
pub fn fence() {
    // SAFETY: every x86_64 CPU has the instruction, and it touches no memory.
    unsafe { _mm_mfence() }
}

/// Puts bytes out of all caches.
pub fn forget(bytes: &[u8]) {
    for line in bytes.chunks(LINE) {
        // SAFETY: the address is inside a live slice; the instruction reads and writes nothing of it.
        unsafe { _mm_clflush(line.as_ptr()) }
    }
    if let Some(last) = bytes.last() {
        // SAFETY: as above. A slice that doesn't start on a line may end on one more.
        unsafe { _mm_clflush(last) }
    }
    fence();
}

/// Copies by `rep movsb`, as many bytes as the shorter of the two has.
pub fn copy_bytes(target: &mut [u8], source: &[u8]) {
    let bytes = target.len().min(source.len());
    // SAFETY:
    // - both ranges are `bytes` long and live, and the target is borrowed alone, so they don't overlap;
    // - the direction flag is clear, as Rust's calling convention has it.
    unsafe {
        asm!(
            "rep movsb",
            inout("rcx") bytes => _,
            inout("rdi") target.as_mut_ptr() => _,
            inout("rsi") source.as_ptr() => _,
            options(nostack, preserves_flags)
        );
    }
}

/// Copies by `rep movsq`, and a rest of less than eight bytes by `rep movsb`.
pub fn copy_words(target: &mut [u8], source: &[u8]) {
    let bytes = target.len().min(source.len());
    // SAFETY: as in `copy_bytes`: eight times bytes / 8, and bytes % 8 more, are `bytes`.
    unsafe {
        asm!(
            "rep movsq",
            "mov rcx, {rest}",
            "rep movsb",
            rest = in(reg) bytes % 8,
            inout("rcx") bytes / 8 => _,
            inout("rdi") target.as_mut_ptr() => _,
            inout("rsi") source.as_ptr() => _,
            options(nostack, preserves_flags)
        );
    }
}

/// Reads bytes, eight at a time, and says their sum.
pub fn read(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let sum = |sum: u64, word: &[u8; 8]| sum.wrapping_add(u64::from_ne_bytes(*word));
    let start = rest.iter().map(|byte| u64::from(*byte)).sum();
    words.iter().fold(start, sum)
}
