//! Segments, the task state and the interrupt table.

use x86_64::instructions::segmentation::{CS, SS, Segment};
use x86_64::instructions::tables::load_tss;
use x86_64::structures::gdt::{Descriptor, GlobalDescriptorTable, SegmentSelector};
use x86_64::structures::idt::InterruptDescriptorTable;
use x86_64::structures::tss::TaskStateSegment;
use x86_64::{PrivilegeLevel, VirtAddr};

use super::entry::{stack_top, stub_address, watched_stub_address};

/// Selectors, in the order that `sysret` demands (Intel SDM vol. 3A, 6.8.8): user data directly
/// before user code.
pub mod selector {
    /// Kernel code.
    pub const KERNEL_CODE: u16 = 0x08;
    /// Kernel data.
    pub const KERNEL_DATA: u16 = 0x10;
    /// User data, privilege 3.
    pub const USER_DATA: u16 = 0x18 | 3;
    /// User code, privilege 3.
    pub const USER_CODE: u16 = 0x20 | 3;
}

/// Stacks for faults that may come when the kernel's own stack can't be trusted.
const EMERGENCY_STACK: usize = 8192;

#[repr(C, align(16))]
struct Stack([u8; EMERGENCY_STACK]);

static mut EMERGENCY: [Stack; 3] = [const { Stack([0; EMERGENCY_STACK]) }; 3];
static mut TASK: TaskStateSegment = TaskStateSegment::new();
static mut SEGMENTS: GlobalDescriptorTable = GlobalDescriptorTable::new();
static mut INTERRUPTS: InterruptDescriptorTable = InterruptDescriptorTable::new();
/// The table while entries are watched.
static mut WATCHED: InterruptDescriptorTable = InterruptDescriptorTable::new();

/// Loads segments, task state and interrupt table.
///
/// # Safety
/// Called once, at boot, with interrupts off.
pub unsafe fn initialise() {
    let (task, segments) = (&raw mut TASK, &raw mut SEGMENTS);
    let (interrupts, watched) = (&raw mut INTERRUPTS, &raw mut WATCHED);
    // SAFETY: called once, before anything else can look at these statics.
    let (task, segments) = unsafe { (&mut *task, &mut *segments) };
    // SAFETY: as above.
    let (interrupts, watched) = unsafe { (&mut *interrupts, &mut *watched) };
    task.privilege_stack_table[0] = VirtAddr::new(stack_top());
    let stacks = &raw const EMERGENCY as u64;
    let mut tops = task.interrupt_stack_table;
    for (n, top) in tops.iter_mut().take(3).enumerate() {
        *top = VirtAddr::new(stacks + ((n + 1) * EMERGENCY_STACK) as u64);
    }
    task.interrupt_stack_table = tops;
    segments.append(Descriptor::kernel_code_segment());
    segments.append(Descriptor::kernel_data_segment());
    segments.append(Descriptor::user_data_segment());
    segments.append(Descriptor::user_code_segment());
    let task_selector = segments.append(Descriptor::tss_segment(task));
    segments.load();
    // SAFETY: the table just loaded has these segments at these places.
    unsafe {
        CS::set_reg(SegmentSelector(selector::KERNEL_CODE));
        SS::set_reg(SegmentSelector(selector::KERNEL_DATA));
        load_tss(task_selector);
    }
    install(interrupts, stub_address);
    install(watched, watched_stub_address);
    interrupts.load();
}

/// Has interrupts and faults come in by the one way or the other.
pub fn watch_interrupts(on: bool) {
    let table = if on {
        &raw const WATCHED
    } else {
        &raw const INTERRUPTS
    };
    // SAFETY: both tables are whole before any process runs, change no more, and stay for good.
    unsafe { (*table).load_unsafe() };
}

/// Points every vector at its stub.
fn install(table: &mut InterruptDescriptorTable, stub: fn(u8) -> VirtAddr) {
    macro_rules! exceptions {
        ($($field:ident = $vector:literal),*) => {
            $(
                // SAFETY: the stub of this vector accepts what the CPU pushes for it.
                let gate = unsafe { table.$field.set_handler_addr(stub($vector)) };
                if $vector == 3 {
                    // `int3` is the one gate that programs may go through: it is a trap of theirs,
                    // not a violation.
                    gate.set_privilege_level(PrivilegeLevel::Ring3);
                }
            )*
        };
    }
    exceptions!(
        divide_error = 0,
        debug = 1,
        breakpoint = 3,
        overflow = 4,
        bound_range_exceeded = 5,
        invalid_opcode = 6,
        device_not_available = 7,
        invalid_tss = 10,
        segment_not_present = 11,
        stack_segment_fault = 12,
        general_protection_fault = 13,
        page_fault = 14,
        x87_floating_point = 16,
        alignment_check = 17,
        simd_floating_point = 19
    );
    // SAFETY: as above; each of these has a stack of its own, which nothing else uses.
    unsafe {
        table
            .non_maskable_interrupt
            .set_handler_addr(stub(2))
            .set_stack_index(0);
        table
            .double_fault
            .set_handler_addr(stub(8))
            .set_stack_index(1);
        table
            .machine_check
            .set_handler_addr(stub(18))
            .set_stack_index(2);
    }
    for vector in 32..=255u8 {
        // SAFETY: as above.
        unsafe { table[vector].set_handler_addr(stub(vector)) };
    }
}
