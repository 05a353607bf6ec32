//! Faults of the program itself, each a few calls deep.

use core::arch::asm;
use core::fmt;
use core::hint::black_box;

use abi::boot::layout;
use abi::cap::Rights;
use guest::children::{BANK, use_small_bank};
use rt::shared;
use sys::Mem;

/// Faults by name.
const FAULTS: &[(&str, fn())] = &[
    ("null", null),
    ("text", text),
    ("constants", constants),
    ("execute", execute),
    ("sse", sse),
    ("privileged", privileged),
    ("overflow", overflow),
    ("divide", divide),
    ("receive", receive),
    ("panic", panic),
    ("bounds", bounds),
    ("memory", memory),
];

/// The names, for people.
pub struct Names;

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        FAULTS.iter().try_for_each(|(name, _)| write!(f, "{name} "))
    }
}

/// The fault of this name.
pub fn find(name: &str) -> Option<fn()> {
    FAULTS
        .iter()
        .find(|(other, _)| *other == name)
        .map(|(_, fault)| *fault)
}

#[inline(never)]
fn read(address: usize) -> u64 {
    let value;
    // SAFETY: a load; where nothing is mapped, it ends the program.
    unsafe { asm!("mov {}, [{}]", out(reg) value, in(reg) address, options(nostack)) };
    value
}

#[inline(never)]
fn write(address: usize) {
    // SAFETY: a store to where this program may not store; it ends the program.
    unsafe { asm!("mov byte ptr [{}], 1", in(reg) address, options(nostack)) };
}

fn null() {
    black_box(read(black_box(0)));
}

fn text() {
    write(write as *const () as usize);
}

fn constants() {
    write("constant".as_ptr().expose_provenance());
}

#[inline(never)]
fn execute() {
    let code = [0xc3u8; 16];
    // SAFETY: the stack can't be executed; the call ends the program.
    unsafe { asm!("call {}", in(reg) black_box(&code).as_ptr(), clobber_abi("C")) };
}

#[inline(never)]
fn sse() {
    // SAFETY: SIMD is off; the instruction ends the program.
    unsafe { asm!("xorps xmm0, xmm0", options(nostack, nomem)) };
}

#[inline(never)]
fn privileged() {
    // SAFETY: user programs may not; the instruction ends the program.
    unsafe { asm!("cli", options(nostack, nomem)) };
}

#[allow(unconditional_recursion, reason = "the fault that is wanted")]
#[inline(never)]
fn overflow() {
    let space = black_box([0u8; 512]);
    overflow();
    black_box(space);
}

#[inline(never)]
fn divide() {
    // SAFETY: a division by zero ends the program.
    unsafe {
        asm!(
            "xor edx, edx", "xor ecx, ecx", "div ecx",
            out("eax") _, out("ecx") _, out("edx") _,
            options(nostack, nomem),
        );
    }
}

/// Writes into a segment that is mapped read-only, as a stack's receive memory is.
fn receive() {
    let mapped = shared::buy(BANK, 1).and_then(|owned| {
        owned.place.unmap()?;
        shared::map(owned.table, Rights::READ)
    });
    let Ok(place) = mapped else {
        return;
    };
    assert!(place.address() >= layout::SHARED as usize);
    let _ = place.mapping().store_u64(8, 1);
}

#[inline(never)]
fn panic() {
    panic!("as asked");
}

#[inline(never)]
fn bounds() {
    let words = black_box([1, 2, 3]);
    black_box(words[black_box(3)]);
}

/// Allocates until its bank has no more.
fn memory() {
    // init's bank, if this is init, has all of the machine's.
    if use_small_bank(40).is_err() {
        return;
    }
    let mut hoard = alloc::vec::Vec::new();
    loop {
        hoard.push(alloc::vec![1u8; 4096]);
    }
}

extern crate alloc;
