//! How the program came to a place: return addresses by the chain of frame pointers.

use core::fmt::{self, Write};

use abi::boot::layout::{FAULT_STACK_TOP, STACK_TOP};

use crate::start::program;

/// Most frames that are printed.
const FRAMES: usize = 32;

/// Prints one line for each frame: `    #N PROGRAM 0xADDRESS`. The first is `instruction`, the others
/// are found from the frame pointer; whatever does not look like a frame of this stack ends it.
pub(crate) fn print(out: &mut impl Write, instruction: u64, frame: u64) -> fmt::Result {
    let name = program().name;
    writeln!(out, "    #0 {name} {instruction:#x}")?;
    let mut frame = frame;
    let mut bottom = FAULT_STACK_TOP;
    for number in 1..FRAMES {
        if frame < bottom || frame > STACK_TOP - 16 || !frame.is_multiple_of(8) {
            break;
        }
        // SAFETY: the address is aligned and in the stack, between its lowest mapped page and its
        // top; frames are plain words, and this thread, which alone writes them, is here.
        let [next, back] =
            unsafe { *core::ptr::with_exposed_provenance::<[u64; 2]>(frame as usize) };
        if back == 0 {
            break;
        }
        writeln!(out, "    #{number} {name} {back:#x}")?;
        bottom = frame + 16;
        frame = next;
    }
    Ok(())
}
