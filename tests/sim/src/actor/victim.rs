//! Serves hostile processes, and has what they would like to have.
//!
//! It answers every call with the words that came, takes no capability, and keeps a secret in a page
//! of its own, which must stay as it is.

use std::rc::Rc;

use abi::PAGE_SIZE;
use abi::boot::layout;
use sys::{Event, Mem, Message, Sys};

use crate::region::Region;
use crate::world::Code;

/// The word that it keeps.
const SECRET: u64 = 0x5ec4_e75e_c4e7_5ec4;
/// Where in its message page.
const PLACE: usize = 8;

/// The program.
pub fn code() -> Code {
    Rc::new(|context| {
        let page = Region::own(context, layout::MESSAGE, PAGE_SIZE);
        let written = page.store_u64(PLACE, SECRET);
        context.claim(written.is_ok(), || "its page is gone".to_owned());
        let mut event = context.wait([0; 4]);
        while !context.is_gone() {
            let kept = page.load_u64(PLACE) == Ok(SECRET);
            context.claim(kept, || "its secret isn't what it was".to_owned());
            event = match event {
                Event::Request(request) if request.call => {
                    context.world().count("calls served by the victim");
                    context.reply_and_wait(abi::error::OK, &Message::new(&request.words))
                }
                _ => context.wait([0; 4]),
            };
        }
    })
}
