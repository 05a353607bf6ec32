// Kernels of a few instructions, for the harness to prove itself on: one for each way in which a
// boot can end, chosen by -D. 32-bit code in an ELF64 file with a PVH note, as the real kernel has.

        .section .note.pvh, "a", @note
        .balign 4
        .long   4, 4, 18                // name and description sizes, XEN_ELFNOTE_PHYS32_ENTRY
        .asciz  "Xen"
        .long   start

        .text
        .code32
        .globl  start
start:
        mov     $stack, %esp
        mov     $hello, %esi
        call    print

#if defined(EXIT)
        mov     $EXIT, %eax
        mov     $0xf4, %dx
        outl    %eax, %dx

#elif defined(TRIPLE_FAULT)
        lidt    no_handlers
        ud2

#elif defined(RESET)
        mov     $0xcf9, %dx             // reset control of the q35's chipset
        mov     $0x06, %al
        outb    %al, %dx

#elif defined(POWER_OFF)
        mov     $0x604, %dx             // PM1a control: enter S5
        mov     $0x2000, %ax
        outw    %ax, %dx

#elif defined(PANIC)
        // As the kernel does it: a backtrace of bare addresses, then the exit.
        mov     $panic, %esi
        call    print
        mov     $0x12, %eax
        mov     $0xf4, %dx
        outl    %eax, %dx

#elif defined(START_INFO)
        // What the loader handed over: command line, and the first name in the archive.
        mov     24(%ebx), %esi
        call    print_line
        mov     16(%ebx), %esi
        mov     (%esi), %esi
        call    print_line
        mov     $0x10, %eax
        mov     $0xf4, %dx
        outl    %eax, %dx

#elif defined(ECHO)
        // Repeats what is typed; halts at a "!".
1:      mov     $0x3fd, %dx
2:      inb     %dx, %al
        test    $1, %al
        pause
        jz      2b
        mov     $0x3f8, %dx
        inb     %dx, %al
        outb    %al, %dx
        cmp     $'!', %al
        jne     1b
        mov     $0x10, %eax
        mov     $0xf4, %dx
        outl    %eax, %dx

#elif defined(FLOOD)
        // Prints without end.
1:      mov     $hello, %esi
        call    print
        jmp     1b
#endif

hang:
        cli
        hlt
        jmp     hang

// Prints the text at esi, up to its zero.
print:
        mov     $0x3f8, %dx
1:      lodsb
        test    %al, %al
        jz      2f
        outb    %al, %dx
        jmp     1b
2:      ret

print_line:
        call    print
        mov     $'\n', %al
        outb    %al, %dx
        ret

        .balign 4
no_handlers:
        .word   0
        .long   0
hello:  .asciz  "payload: up\n"
        .globl  panic
panic:  .asciz  "panic: payload\n    #0 kernel 0x100020\n"
        .balign 16
        .skip   1024
stack:
