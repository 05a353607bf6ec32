//! From PVH's 32-bit entry to 64-bit Rust.
//!
//! QEMU (or another PVH loader) enters at `pvh_start` with paging off and `ebx` = the start-info
//! structure. The tables made here map the first GiB three times: at its own addresses (until
//! `memory` makes the kernel's own tables), at `PHYSICAL_BASE`, and at the kernel's link address.
//! x86/HVM direct boot ABI: xen/include/public/arch-x86/hvm/start_info.h.

use core::arch::global_asm;

global_asm!(
    r#"
.section .note.Xen, "a", @note
    .balign 4
    .long 4              // length of the name
    .long 4              // length of the description
    .long 18             // XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .long pvh_start_physical

.section .boot.text, "ax"
.code32
.global pvh_start
pvh_start:
    cli
    cld
    mov edi, ebx
    // Level 4: entries 0, 256 and 511.
    mov eax, offset boot_level3_low_physical
    or eax, 3
    mov dword ptr [boot_level4_physical], eax
    mov dword ptr [boot_level4_physical + 256 * 8], eax
    mov eax, offset boot_level3_high_physical
    or eax, 3
    mov dword ptr [boot_level4_physical + 511 * 8], eax
    // Level 3: one GiB each.
    mov eax, offset boot_level2_physical
    or eax, 3
    mov dword ptr [boot_level3_low_physical], eax
    mov dword ptr [boot_level3_high_physical + 510 * 8], eax
    // Level 2: 512 pages of 2 MiB.
    mov ecx, 0
    mov eax, 0x83
2:
    mov dword ptr [boot_level2_physical + ecx * 8], eax
    add eax, 0x200000
    inc ecx
    cmp ecx, 512
    jne 2b
    // CR4.PAE; EFER.SCE, LME, NXE; CR0.PG, WP, EM, PE.
    mov eax, cr4
    or eax, 1 << 5
    mov cr4, eax
    mov eax, offset boot_level4_physical
    mov cr3, eax
    mov ecx, 0xc0000080
    rdmsr
    or eax, (1 << 0) | (1 << 8) | (1 << 11)
    wrmsr
    mov eax, 0x80010015
    mov cr0, eax
    lgdt [boot_gdt_pointer_physical]
    push 8
    mov eax, offset pvh_long_physical
    push eax
    retf

.code64
pvh_long:
    xor eax, eax
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov fs, ax
    mov gs, ax
    movabs rsp, offset boot_stack_top
    xor ebp, ebp
    mov edi, edi
    movabs rax, offset {start}
    call rax
    ud2

.section .rodata
.balign 8
boot_gdt:
    .quad 0
    .quad 0x00af9a000000ffff
boot_gdt_pointer:
    .word 15
    .long boot_gdt_physical

.section .bss
.balign 4096
boot_level4: .skip 4096
boot_level3_low: .skip 4096
boot_level3_high: .skip 4096
boot_level2: .skip 4096
.global boot_stack_top
boot_stack: .skip 65536
boot_stack_top:
"#,
    start = sym crate::start,
);

// lld defines `*_physical` in the linker script from symbols that must be visible to it.
global_asm!(
    ".global boot_level4, boot_level3_low, boot_level3_high, boot_level2, boot_gdt, boot_gdt_pointer, pvh_long"
);
