// The CPU's ways into the kernel and out of it: see `entry.rs`, which gives the names in braces.

.section .text
.macro system_call handler
    swapgs
    mov gs:[{user_stack}], rsp
    mov rsp, gs:[{stack}]
    push r14
    push r13
    push r12
    push r9
    push r8
    push r10
    push rdx
    push rsi
    push rdi
    push rax
    mov rax, gs:[{current}]
    mov [rax + {rip}], rcx
    mov [rax + {rflags}], r11
    mov rcx, gs:[{user_stack}]
    mov [rax + {rsp}], rcx
    mov [rax + {rbx}], rbx
    mov [rax + {rbp}], rbp
    mov [rax + {r15}], r15
    mov [rax + {last_capability}], rdi
    mov [rax + {last_method}], rsi
    xor ebp, ebp
    mov rdi, rsp
    call \handler
.endm

// While entries are watched; see `watch.rs`.
.balign 16
watched_system_call_entry:
    system_call {on_watched_system_call}
    jmp resume

.balign 16
system_call_entry:
    system_call {on_system_call}

// rax: the process to run, or null; rsp: its message registers.
resume:
    test rax, rax
    jz idle
    mov gs:[{current}], rax
    cmp byte ptr [rax + {full}], 0
    jne resume_all
    mov rcx, [rax + {rip}]
    mov r11, [rax + {rflags}]
    mov rbx, [rax + {rbx}]
    mov rbp, [rax + {rbp}]
    mov r15, [rax + {r15}]
    mov rdx, [rax + {rsp}]
    mov gs:[{user_stack}], rdx
    pop rax
    pop rdi
    pop rsi
    pop rdx
    pop r10
    pop r8
    pop r9
    pop r12
    pop r13
    pop r14
    mov rsp, gs:[{user_stack}]
    swapgs
    sysretq

// Everything comes from the process's frame. rax: the process.
.global leave_kernel
leave_kernel:
    mov rax, rdi
    mov rsp, gs:[{stack}]
    sub rsp, 80
    test rax, rax
    jz idle
    mov gs:[{current}], rax
resume_all:
    mov byte ptr [rax + {full}], 0
    push {user_data}
    push qword ptr [rax + {rsp}]
    push qword ptr [rax + {rflags}]
    push {user_code}
    push qword ptr [rax + {rip}]
    mov rbx, [rax + {rbx}]
    mov rbp, [rax + {rbp}]
    mov r15, [rax + {r15}]
    mov rcx, [rax + {rcx}]
    mov r11, [rax + {r11}]
    mov rdi, [rax + {message} + 8]
    mov rsi, [rax + {message} + 16]
    mov rdx, [rax + {message} + 24]
    mov r10, [rax + {message} + 32]
    mov r8, [rax + {message} + 40]
    mov r9, [rax + {message} + 48]
    mov r12, [rax + {message} + 56]
    mov r13, [rax + {message} + 64]
    mov r14, [rax + {message} + 72]
    mov rax, [rax + {message}]
    swapgs
    iretq

// Nobody is ready. Interrupts are let in only between these two instructions.
idle:
    mov rsp, gs:[{stack}]
    sub rsp, 80
    xor ebp, ebp
    sti
    hlt
    cli
    mov rdi, rsp
    call {on_idle}
    jmp resume

.macro stubs common
.set vector, 0
.rept 256
    .balign 16
    .if vector != 8 && vector != 10 && vector != 11 && vector != 12 && vector != 13 && vector != 14 && vector != 17 && vector != 21
    push 0
    .endif
    push vector
    jmp \common
    .set vector, vector + 1
.endr
.endm

// A vector's stub pushes (zero for) the error code and the vector.
.balign 16
.global interrupt_stubs
interrupt_stubs:
    stubs interrupt_common
.balign 16
.global watched_stubs
watched_stubs:
    stubs watched_interrupt

.macro interrupt handler, kernel, user
    // On the stack: vector, error, rip, cs, rflags, rsp, ss.
    test byte ptr [rsp + 24], 3
    jz \kernel
\user:
    swapgs
    push rax
    mov rax, gs:[{current}]
    mov [rax + {message} + 8], rdi
    mov [rax + {message} + 16], rsi
    mov [rax + {message} + 24], rdx
    mov [rax + {message} + 32], r10
    mov [rax + {message} + 40], r8
    mov [rax + {message} + 48], r9
    mov [rax + {message} + 56], r12
    mov [rax + {message} + 64], r13
    mov [rax + {message} + 72], r14
    mov [rax + {rbx}], rbx
    mov [rax + {rbp}], rbp
    mov [rax + {r15}], r15
    mov [rax + {rcx}], rcx
    mov [rax + {r11}], r11
    pop rcx
    mov [rax + {message}], rcx
    mov rcx, [rsp + 16]
    mov [rax + {rip}], rcx
    mov rcx, [rsp + 32]
    mov [rax + {rflags}], rcx
    mov rcx, [rsp + 40]
    mov [rax + {rsp}], rcx
    mov rdi, [rsp]
    mov rsi, [rsp + 8]
    mov rsp, gs:[{stack}]
    sub rsp, 80
    xor ebp, ebp
    cld
    mov rdx, rsp
    call \handler
    jmp resume
.endm

.macro kernel_interrupt handler
    push r15
    push r14
    push r13
    push r12
    push r11
    push r10
    push r9
    push r8
    push rbp
    push rdi
    push rsi
    push rdx
    push rcx
    push rbx
    push rax
    cld
    mov rdi, rsp
    mov rbx, rsp
    and rsp, -16
    call \handler
    mov rsp, rbx
    pop rax
    pop rbx
    pop rcx
    pop rdx
    pop rsi
    pop rdi
    pop rbp
    pop r8
    pop r9
    pop r10
    pop r11
    pop r12
    pop r13
    pop r14
    pop r15
    add rsp, 16
    iretq
.endm

.balign 16
// mk's plugin counts by the names system_call_entry and interrupt_user.
interrupt_common:
    interrupt {on_interrupt}, interrupt_kernel, interrupt_user
.balign 16
watched_interrupt:
    interrupt {on_watched_interrupt}, watched_kernel, watched_user
interrupt_kernel:
    kernel_interrupt {on_kernel_interrupt}
watched_kernel:
    kernel_interrupt {on_watched_kernel_interrupt}

.global kernel_stack_top
.section .bss
.balign 4096
    .skip 32768
kernel_stack_top:
.section .text
.global system_call_entry
.global watched_system_call_entry
