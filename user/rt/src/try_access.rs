//! Accesses that survive the loss of the memory they touch.
//!
//! Each routine below is a leaf that keeps nothing on the stack, so that at every instruction of it
//! the return address is on top and recovery is one label for all: it reports failure and returns.
//! Before a routine runs, the addresses it may touch are made *active*; the fault entry recovers only
//! from page faults whose instruction lies in the routines and whose address is active. Everything
//! else is a bug and ends the program.
//!
//! Copies are eight bytes a step, eight steps a turn: string instructions are ten times slower under
//! emulation. No byte of the source is loaded twice.

use core::arch::global_asm;
use core::sync::atomic::{AtomicUsize, Ordering, compiler_fence};

use sys::Fault;

global_asm!(
    ".pushsection .text.rt_try, \"ax\", @progbits",
    ".p2align 4",
    ".globl rt_try_begin",
    ".hidden rt_try_begin",
    "rt_try_begin:",
    // Loads: rdi = address. Stores: rdi = address, rsi = value. rax = value, rdx = failed.
    ".globl rt_try_load_u8",
    ".hidden rt_try_load_u8",
    "rt_try_load_u8:",
    "movzx eax, byte ptr [rdi]",
    "xor edx, edx",
    "ret",
    ".globl rt_try_load_u16",
    ".hidden rt_try_load_u16",
    "rt_try_load_u16:",
    "movzx eax, word ptr [rdi]",
    "xor edx, edx",
    "ret",
    ".globl rt_try_load_u32",
    ".hidden rt_try_load_u32",
    "rt_try_load_u32:",
    "mov eax, dword ptr [rdi]",
    "xor edx, edx",
    "ret",
    ".globl rt_try_load_u64",
    ".hidden rt_try_load_u64",
    "rt_try_load_u64:",
    "mov rax, qword ptr [rdi]",
    "xor edx, edx",
    "ret",
    ".globl rt_try_store_u8",
    ".hidden rt_try_store_u8",
    "rt_try_store_u8:",
    "mov byte ptr [rdi], sil",
    "xor edx, edx",
    "ret",
    ".globl rt_try_store_u16",
    ".hidden rt_try_store_u16",
    "rt_try_store_u16:",
    "mov word ptr [rdi], si",
    "xor edx, edx",
    "ret",
    ".globl rt_try_store_u32",
    ".hidden rt_try_store_u32",
    "rt_try_store_u32:",
    "mov dword ptr [rdi], esi",
    "xor edx, edx",
    "ret",
    ".globl rt_try_store_u64",
    ".hidden rt_try_store_u64",
    "rt_try_store_u64:",
    "mov qword ptr [rdi], rsi",
    "xor edx, edx",
    "ret",
    // rdi = destination, rsi = source, rdx = bytes.
    ".p2align 4",
    ".globl rt_try_copy",
    ".hidden rt_try_copy",
    "rt_try_copy:",
    // Indices run up to 0 from below, so that one register counts for both sides.
    "mov rcx, rdx",
    "and rcx, -64",
    "jz 3f",
    "add rsi, rcx",
    "add rdi, rcx",
    "neg rcx",
    "2:",
    "mov rax, [rsi + rcx]",
    "mov r8, [rsi + rcx + 8]",
    "mov r9, [rsi + rcx + 16]",
    "mov r10, [rsi + rcx + 24]",
    "mov [rdi + rcx], rax",
    "mov [rdi + rcx + 8], r8",
    "mov [rdi + rcx + 16], r9",
    "mov [rdi + rcx + 24], r10",
    "mov rax, [rsi + rcx + 32]",
    "mov r8, [rsi + rcx + 40]",
    "mov r9, [rsi + rcx + 48]",
    "mov r10, [rsi + rcx + 56]",
    "mov [rdi + rcx + 32], rax",
    "mov [rdi + rcx + 40], r8",
    "mov [rdi + rcx + 48], r9",
    "mov [rdi + rcx + 56], r10",
    "add rcx, 64",
    "jnz 2b",
    "3:",
    "mov ecx, edx",
    "and ecx, 56",
    "jz 5f",
    "add rsi, rcx",
    "add rdi, rcx",
    "neg rcx",
    "4:",
    "mov rax, [rsi + rcx]",
    "mov [rdi + rcx], rax",
    "add rcx, 8",
    "jnz 4b",
    "5:",
    "test dl, 4",
    "jz 6f",
    "mov eax, [rsi]",
    "mov [rdi], eax",
    "add rsi, 4",
    "add rdi, 4",
    "6:",
    "test dl, 2",
    "jz 7f",
    "movzx eax, word ptr [rsi]",
    "mov [rdi], ax",
    "add rsi, 2",
    "add rdi, 2",
    "7:",
    "test dl, 1",
    "jz 8f",
    "movzx eax, byte ptr [rsi]",
    "mov [rdi], al",
    "8:",
    "xor edx, edx",
    "ret",
    ".globl rt_try_end",
    ".hidden rt_try_end",
    "rt_try_end:",
    ".globl rt_try_recover",
    ".hidden rt_try_recover",
    "rt_try_recover:",
    "xor eax, eax",
    "mov edx, 1",
    "ret",
    ".popsection",
);

/// What a routine leaves in `rax` and `rdx`.
#[repr(C)]
struct Outcome {
    value: u64,
    failed: u64,
}

// The routines keep to the C convention: they change only rax, rcx, rdx, rsi, rdi and r8 to r10.
unsafe extern "C" {
    fn rt_try_load_u8(address: usize) -> Outcome;
    fn rt_try_load_u16(address: usize) -> Outcome;
    fn rt_try_load_u32(address: usize) -> Outcome;
    fn rt_try_load_u64(address: usize) -> Outcome;
    fn rt_try_store_u8(address: usize, value: u64) -> Outcome;
    fn rt_try_store_u16(address: usize, value: u64) -> Outcome;
    fn rt_try_store_u32(address: usize, value: u64) -> Outcome;
    fn rt_try_store_u64(address: usize, value: u64) -> Outcome;
    fn rt_try_copy(to: usize, from: usize, bytes: usize) -> Outcome;
    #[cfg(target_os = "none")]
    static rt_try_begin: u8;
    #[cfg(target_os = "none")]
    static rt_try_end: u8;
    #[cfg(target_os = "none")]
    static rt_try_recover: u8;
}

/// Active addresses: first and end of two ranges. The fault entry runs between two instructions of
/// the code that sets them, on the same CPU: relaxed accesses and compiler fences are enough.
static ACTIVE: [AtomicUsize; 4] = [const { AtomicUsize::new(0) }; 4];

fn activate(range: usize, first: usize, bytes: usize) {
    ACTIVE[2 * range].store(first, Ordering::Relaxed);
    ACTIVE[2 * range + 1].store(first.saturating_add(bytes), Ordering::Relaxed);
}

fn deactivate(range: usize) {
    ACTIVE[2 * range + 1].store(0, Ordering::Relaxed);
}

/// Runs one routine with one range active.
#[inline]
fn attempt(first: usize, bytes: usize, routine: impl FnOnce() -> Outcome) -> Result<u64, Fault> {
    activate(0, first, bytes);
    compiler_fence(Ordering::SeqCst);
    let outcome = routine();
    compiler_fence(Ordering::SeqCst);
    deactivate(0);
    if outcome.failed != 0 {
        Err(Fault::Revoked)
    } else {
        Ok(outcome.value)
    }
}

/// Where to resume after a page fault, if it is one to recover from.
#[cfg(target_os = "none")]
pub(crate) fn recovery(address: usize, instruction: usize) -> Option<usize> {
    let routines = (&raw const rt_try_begin).addr()..(&raw const rt_try_end).addr();
    let load = |n: usize| ACTIVE[n].load(Ordering::Relaxed);
    let active = (load(0)..load(1)).contains(&address) || (load(2)..load(3)).contains(&address);
    (routines.contains(&instruction) && active).then(|| (&raw const rt_try_recover).addr())
}

/// Widths that can be loaded and stored at once.
pub(crate) trait Word: Copy {
    /// Loads, or reports that the memory is gone.
    ///
    /// # Safety
    /// No Rust object lies at `address`.
    unsafe fn try_load(address: usize) -> Result<Self, Fault>;
    /// Stores, or reports that the memory is gone.
    ///
    /// # Safety
    /// No Rust object lies at `address`.
    unsafe fn try_store(address: usize, value: Self) -> Result<(), Fault>;
}

macro_rules! word {
    ($type:ty, $load:ident, $store:ident) => {
        impl Word for $type {
            #[inline]
            unsafe fn try_load(address: usize) -> Result<$type, Fault> {
                attempt(address, size_of::<$type>(), || {
                    // SAFETY: the routine loads from `address` alone, where no Rust object lies.
                    unsafe { $load(address) }
                })
                .map(|value| value as $type)
            }

            #[inline]
            unsafe fn try_store(address: usize, value: $type) -> Result<(), Fault> {
                attempt(address, size_of::<$type>(), || {
                    // SAFETY: the routine stores to `address` alone, where no Rust object lies.
                    unsafe { $store(address, value as u64) }
                })
                .map(|_| ())
            }
        }
    };
}

word!(u8, rt_try_load_u8, rt_try_store_u8);
word!(u16, rt_try_load_u16, rt_try_store_u16);
word!(u32, rt_try_load_u32, rt_try_store_u32);
word!(u64, rt_try_load_u64, rt_try_store_u64);

/// Instructions that `rt_try_copy` takes for so many bytes beyond those that it takes for none: those of
/// its loops. Where bytes are counted, they are not.
#[cfg(all(feature = "count-events", target_os = "none"))]
pub(crate) const fn loop_instructions(bytes: usize) -> usize {
    const TURN: usize = 18;
    const WORD: usize = 4;
    // What goes before each of the two loops, where it is gone through at all.
    const BEFORE: usize = 3;
    let (turns, words) = (bytes / 64, bytes % 64 / 8);
    let before = BEFORE * ((turns > 0) as usize + (words > 0) as usize);
    let rest = 4 * (bytes / 4 % 2) + 4 * (bytes / 2 % 2) + 2 * (bytes % 2);
    before + turns * TURN + words * WORD + rest
}

/// Tells of a copy where it is counted.
#[inline(always)]
fn copied(bytes: usize) {
    #[cfg(all(feature = "count-events", target_os = "none"))]
    crate::count::moved(bytes, loop_instructions(bytes));
    let _ = bytes;
}

/// Copies without recovery.
///
/// # Safety
/// `from` can be read and `to` written for `bytes`; they don't overlap; where Rust objects lie there,
/// the caller may access them so.
#[inline]
pub(crate) unsafe fn copy(to: usize, from: usize, bytes: usize) {
    // SAFETY: the routine accesses these two ranges alone, as the caller permits.
    unsafe { rt_try_copy(to, from, bytes) };
    copied(bytes);
}

/// Copies; reports when the source or the destination is gone, as far as it is named revocable.
///
/// # Safety
/// As [`copy`], but a revocable range need not be mapped, and no Rust object lies in it.
#[inline]
pub(crate) unsafe fn try_copy(
    to: usize,
    from: usize,
    bytes: usize,
    to_revocable: bool,
    from_revocable: bool,
) -> Result<(), Fault> {
    if to_revocable {
        activate(1, to, bytes);
    }
    let from_bytes = if from_revocable { bytes } else { 0 };
    let outcome = attempt(from, from_bytes, || {
        // SAFETY: the routine accesses these two ranges alone, as the caller permits; where one is
        // gone, the fault entry ends the routine.
        unsafe { rt_try_copy(to, from, bytes) }
    });
    if to_revocable {
        deactivate(1);
    }
    if outcome.is_ok() {
        copied(bytes);
    }
    outcome.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn copies_every_length_and_nothing_beyond() {
        let source: Vec<u8> = (0..400u32).map(|n| (n * 7 + 3) as u8).collect();
        for length in 0..300 {
            for (from, to) in [(0, 0), (1, 0), (0, 3), (5, 2)] {
                let mut target = std::vec![0xEEu8; 400];
                let pointer = target.as_mut_ptr().expose_provenance();
                let origin = source.as_ptr().expose_provenance();
                // SAFETY: both buffers are 400 bytes; no offset plus length passes that.
                unsafe { copy(pointer + to, origin + from, length) };
                assert_eq!(target[to..to + length], source[from..from + length]);
                assert!(
                    target[..to]
                        .iter()
                        .chain(&target[to + length..])
                        .all(|byte| *byte == 0xEE)
                );
            }
        }
    }

    #[test]
    fn words_keep_their_width() {
        let mut memory = [0xAAAA_AAAA_AAAA_AAAAu64; 2];
        let address = memory.as_mut_ptr().expose_provenance();
        // SAFETY: the array outlives these accesses and nothing else touches it meanwhile.
        unsafe {
            u16::try_store(address + 2, 0x1234).unwrap();
            u8::try_store(address + 15, 0x5A).unwrap();
            u32::try_store(address + 8, 0x5678_9ABC).unwrap();
            assert_eq!(u8::try_load(address + 3), Ok(0x12));
            assert_eq!(u16::try_load(address + 2), Ok(0x1234));
            assert_eq!(u64::try_load(address + 8), Ok(0x5AAA_AAAA_5678_9ABC));
            assert_eq!(u32::try_load(address + 8), Ok(0x5678_9ABC));
            assert_eq!(u64::try_load(address), Ok(0xAAAA_AAAA_1234_AAAA));
        }
    }
}
