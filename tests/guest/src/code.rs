//! Programs of a few instructions, which run wherever they are put.
//!
//! They are copied into address spaces of their own, so that what is measured or provoked is theirs
//! alone.

/// Where a child finds the page that it shares with its parent.
pub const SHARED: u64 = abi::boot::layout::SHARED;

/// Functions that answer the bytes of a few instructions each.
#[macro_export]
macro_rules! code {
    ($($(#[$doc:meta])* $name:ident = $begin:ident, $end:ident: $($line:expr),+ $(,)?;)+) => {
        $(
            core::arch::global_asm!(
                ".pushsection .rodata.guest_code, \"a\", @progbits",
                concat!(".globl ", stringify!($begin)),
                concat!(".hidden ", stringify!($begin)),
                concat!(stringify!($begin), ":"),
                $($line,)+
                concat!(".globl ", stringify!($end)),
                concat!(".hidden ", stringify!($end)),
                concat!(stringify!($end), ":"),
                ".popsection",
            );

            $(#[$doc])*
            pub fn $name() -> &'static [u8] {
                unsafe extern "C" {
                    static $begin: u8;
                    static $end: u8;
                }
                let (begin, end) = (&raw const $begin, &raw const $end);
                // SAFETY: the assembler put both labels around the bytes above, which are constants.
                unsafe { core::slice::from_raw_parts(begin, end.addr() - begin.addr()) }
            }
        )+
    };
}

code! {
    /// Answers every call with the words that came.
    echo = guest_echo_begin, guest_echo_end:
        "mov eax, 3",        // Wait
        "xor r14d, r14d",
        "syscall",
        "2:",
        "mov eax, 1",        // ReplyWait, status 0
        "xor edi, edi",
        "xor r13d, r13d",
        "xor r14d, r14d",
        "syscall",
        "jmp 2b";

    /// Whenever something comes, stores the time-stamp counter in the first word of the shared page.
    stamp = guest_stamp_begin, guest_stamp_end:
        "mov ebx, 0x20000000",
        "2:",
        "mov eax, 3",        // Wait
        "xor r14d, r14d",
        "syscall",
        "rdtsc",
        "shl rdx, 32",
        "or rax, rdx",
        "mov [rbx], rax",
        "jmp 2b";

    /// Writes to the third page of what it shares, then waits.
    scribble = guest_scribble_begin, guest_scribble_end:
        "mov ebx, 0x20002008",
        "mov rax, 0x5eed5eed5eed5eed",
        "mov [rbx], rax",
        "2:",
        "mov eax, 3",        // Wait
        "xor r14d, r14d",
        "syscall",
        "jmp 2b";

    /// Changes a byte of the source MAC address and one of the IPv4 source of frames that begin at every
    /// 2 KiB of 32 pages of a transmit segment, and changes them back, for ever.
    rewrite = guest_rewrite_begin, guest_rewrite_end:
        "2:",
        "mov ebx, 0x20003000",
        "mov ecx, 64",
        "3:",
        "xor byte ptr [rbx + 11], 0x55",
        "xor byte ptr [rbx + 29], 0x55",
        "add ebx, 2048",
        "dec ecx",
        "jnz 3b",
        "jmp 2b";
}

const _: () = assert!(SHARED == 0x2000_0000, "some have it built in");
