//! What children do.

/// An address that can't be.
pub const HOLE: u64 = 0x8000_0000_0000_0000;

guest::code! {
    read_null = f_read_null, f_read_null_end:
        "xor eax, eax", "mov rax, [rax]";
    write_null = f_write_null, f_write_null_end:
        "xor eax, eax", "mov [rax], rax";
    write_text = f_write_text, f_write_text_end:
        "lea rax, [rip]", "mov [rax], al";
    execute_stack = f_execute_stack, f_execute_stack_end:
        "lea rax, [rsp - 64]", "jmp rax";
    execute_null = f_execute_null, f_execute_null_end:
        "xor eax, eax", "jmp rax";
    read_kernel = f_read_kernel, f_read_kernel_end:
        "mov rax, 0xffffffff80000000", "mov rax, [rax]";
    jump_kernel = f_jump_kernel, f_jump_kernel_end:
        "mov rax, 0xffffffff80000000", "jmp rax";
    read_hole = f_read_hole, f_read_hole_end:
        "mov rax, 0x8000000000000000", "mov rax, [rax]";
    jump_hole = f_jump_hole, f_jump_hole_end:
        "mov rax, 0x8000000000000000", "jmp rax";
    stack_hole = f_stack_hole, f_stack_hole_end:
        "mov rsp, 0x8000000000000000", "mov eax, 9", "syscall", "push rax";
    overflow = f_overflow, f_overflow_end:
        "2:", "push rax", "jmp 2b";
    sse = f_sse, f_sse_end:
        "xorps xmm0, xmm0";
    avx = f_avx, f_avx_end:
        "vxorps ymm0, ymm0, ymm0";
    x87 = f_x87, f_x87_end:
        "fld1";
    mmx = f_mmx, f_mmx_end:
        "pxor mm0, mm0";
    undefined = f_undefined, f_undefined_end:
        "ud2";
    halt = f_halt, f_halt_end:
        "hlt";
    interrupts_off = f_cli, f_cli_end:
        "cli";
    read_port = f_in, f_in_end:
        "in al, 0x60";
    read_msr = f_rdmsr, f_rdmsr_end:
        "mov ecx, 0xc0000080", "rdmsr";
    write_msr = f_wrmsr, f_wrmsr_end:
        "mov ecx, 0xc0000102", "xor eax, eax", "xor edx, edx", "wrmsr";
    load_cr3 = f_cr3, f_cr3_end:
        "xor eax, eax", "mov cr3, rax";
    load_gdt = f_lgdt, f_lgdt_end:
        "lgdt [rsp - 16]";
    invalidate = f_invlpg, f_invlpg_end:
        "invlpg [rsp]";
    swap_gs = f_swapgs, f_swapgs_end:
        "swapgs";
    return_to_kernel = f_sysret, f_sysret_end:
        "sysretq";
    interrupt_80 = f_int80, f_int80_end:
        "int 0x80";
    interrupt_page = f_int14, f_int14_end:
        "int 14";
    far_return = f_retf, f_retf_end:
        "push 0x8", "lea rax, [rip]", "push rax", "retfq";
    interrupt_return = f_iret, f_iret_end:
        "push 0x10", "push rsp", "pushfq", "push 0x8", "lea rax, [rip]", "push rax", "iretq";
    breakpoint = f_int3, f_int3_end:
        "int3";
    no_stack = f_no_stack, f_no_stack_end:
        "xor esp, esp", "int3";
    divide = f_divide, f_divide_end:
        "xor ecx, ecx", "xor edx, edx", "div ecx";
    decline = f_decline, f_decline_end:
        "mov eax, 7", "syscall", "ud2";
    spin = f_spin, f_spin_end:
        "2:", "pause", "jmp 2b";

    // Flags that a program may set and the kernel must not keep. Each then does a null system call
    // and ends with an undefined instruction, unless the flag itself stops it.
    single_step = f_tf, f_tf_end:
        "pushfq", "or qword ptr [rsp], 0x100", "popfq", "nop", "nop", "ud2";
    single_step_call = f_tf_call, f_tf_call_end:
        "mov eax, 9", "pushfq", "or qword ptr [rsp], 0x100", "popfq", "syscall", "nop", "nop", "ud2";
    nested_task = f_nt, f_nt_end:
        "pushfq", "or qword ptr [rsp], 0x4000", "popfq", "mov eax, 9", "syscall",
        "mov eax, 8", "syscall", "ud2";
    direction = f_df, f_df_end:
        "std", "mov eax, 9", "syscall", "mov eax, 8", "syscall", "ud2";
    alignment = f_ac, f_ac_end:
        "pushfq", "or qword ptr [rsp], 0x40000", "popfq", "mov eax, 9", "syscall",
        "mov rax, [rsp + 1 - 16]", "ud2";
    null_segments = f_segments, f_segments_end:
        "xor eax, eax", "mov ds, ax", "mov es, ax", "mov fs, ax", "mov gs, ax",
        "mov eax, 9", "syscall", "mov eax, 8", "syscall", "ud2";

    // A fault entry that faults again: the second fault is the one that is reported.
    fault_twice = f_twice, f_twice_end:
        "lea rdx, [rip + 3f]", "call 2f", "xor eax, eax", "mov rax, [rax]",
        // Sets the fault entry to rdx: Call, slot 2 (the process), SET_FAULT_ENTRY.
        "2:", "xor eax, eax", "mov edi, 2", "mov esi, 6", "lea r10, [rsp - 256]",
        "xor r8d, r8d", "xor r9d, r9d", "xor r12d, r12d", "xor r13d, r13d", "xor r14d, r14d",
        "syscall", "ret",
        "3:", "ud2";
    // A fault entry that returns elsewhere, twice, with all registers as they were.
    fault_and_return = f_return, f_return_end:
        "lea rdx, [rip + 3f]", "call 2f", "xor ebx, ebx",
        "xor eax, eax", "mov rax, [rax]",
        "4:", "mov rcx, rsp", "xor eax, eax", "mov rax, [rax]",
        "5:", "cmp rcx, rsp", "jne 6f", "test rbx, rbx", "jne 6f",
        // It gives up: what went well.
        "mov eax, 7", "syscall",
        "6:", "ud2",
        "2:", "xor eax, eax", "mov edi, 2", "mov esi, 6", "lea r10, [rsp - 256]",
        "xor r8d, r8d", "xor r9d, r9d", "xor r12d, r12d", "xor r13d, r13d", "xor r14d, r14d",
        "syscall", "ret",
        // The entry: page faults (1) at address 0 only; where to resume is told by the place of the
        // instruction. It changes a register, which must be as it was afterwards.
        "3:", "test rdi, rdi", "jne 6b", "cmp dl, 1", "jne 6b", "mov ebx, 1", "lea rdi, [rip + 5b]",
        "lea rax, [rip + 4b]", "cmp rsi, rax", "cmovb rdi, rax", "mov eax, 6", "syscall", "ud2";
}
