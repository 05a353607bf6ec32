//! Loops that move bytes. They lie between two labels, so that who watches the machine from outside
//! knows them.

use core::arch::global_asm;

use guest::operations::Loop;

global_asm!(
    ".pushsection .text.isolated_loops, \"ax\", @progbits",
    ".globl isolated_loops_begin",
    ".hidden isolated_loops_begin",
    "isolated_loops_begin:",
    // rdi = destination, rsi = source, rdx = bytes.
    ".globl isolated_copy_string_bytes",
    ".hidden isolated_copy_string_bytes",
    "isolated_copy_string_bytes:",
    "mov rcx, rdx",
    "rep movsb",
    "ret",
    ".globl isolated_copy_string_words",
    ".hidden isolated_copy_string_words",
    "isolated_copy_string_words:",
    "mov rcx, rdx",
    "shr rcx, 3",
    "rep movsq",
    "mov ecx, edx",
    "and ecx, 7",
    "rep movsb",
    "ret",
    ".globl isolated_copy_words",
    ".hidden isolated_copy_words",
    "isolated_copy_words:",
    "mov rcx, rdx",
    "shr rcx, 3",
    "jz 3f",
    "2:",
    "mov rax, [rsi]",
    "mov [rdi], rax",
    "add rsi, 8",
    "add rdi, 8",
    "dec rcx",
    "jnz 2b",
    "3:",
    "mov ecx, edx",
    "and ecx, 7",
    "jz 5f",
    "4:",
    "mov al, [rsi]",
    "mov [rdi], al",
    "inc rsi",
    "inc rdi",
    "dec ecx",
    "jnz 4b",
    "5:",
    "ret",
    // rdi = destination, rdx = bytes, a multiple of eight.
    ".globl isolated_zero_string_words",
    ".hidden isolated_zero_string_words",
    "isolated_zero_string_words:",
    "xor eax, eax",
    "mov rcx, rdx",
    "shr rcx, 3",
    "rep stosq",
    "ret",
    ".globl isolated_zero_words",
    ".hidden isolated_zero_words",
    "isolated_zero_words:",
    "xor eax, eax",
    "mov rcx, rdx",
    "shr rcx, 3",
    "jz 7f",
    "6:",
    "mov [rdi], rax",
    "add rdi, 8",
    "dec rcx",
    "jnz 6b",
    "7:",
    "ret",
    ".globl isolated_loops_end",
    ".hidden isolated_loops_end",
    "isolated_loops_end:",
    ".popsection",
);

// They keep to the C convention: they change only rax, rcx, rdi and rsi.
unsafe extern "C" {
    fn isolated_copy_string_bytes(to: usize, from: usize, bytes: usize);
    fn isolated_copy_string_words(to: usize, from: usize, bytes: usize);
    fn isolated_copy_words(to: usize, from: usize, bytes: usize);
    fn isolated_zero_string_words(to: usize, unused: usize, bytes: usize);
    fn isolated_zero_words(to: usize, unused: usize, bytes: usize);
}

/// Copies from one address to another, or zeroes.
pub type Routine = unsafe extern "C" fn(usize, usize, usize);

/// The loop that copies so. `None`: the system's own, which lies elsewhere.
pub fn copy(by: Loop) -> Option<Routine> {
    match by {
        Loop::StringBytes => Some(isolated_copy_string_bytes),
        Loop::StringWords => Some(isolated_copy_string_words),
        Loop::Words => Some(isolated_copy_words),
        Loop::Unrolled => None,
    }
}

/// The loop that zeroes so, whole words only. `None`: there is none.
pub fn zero(by: Loop) -> Option<Routine> {
    match by {
        Loop::StringWords => Some(isolated_zero_string_words),
        Loop::Words => Some(isolated_zero_words),
        Loop::StringBytes | Loop::Unrolled => None,
    }
}
