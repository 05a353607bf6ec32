//! A first program: its process, its address space, its image and its arguments.

use abi::boot::{layout, slot};
use abi::cap::{Kind, Rights};
use abi::{PAGE_SIZE, PRIORITIES};

use super::image::Image;
use super::{Genesis, GenesisError, Program, Result};
use crate::cap::Capability;
use crate::frame::{Frame, Words};
use crate::machine::Machine;
use crate::object::Parent;
use crate::process::{Preserved, Registers, USER_FLAGS};

/// Pages of a first program's stack.
const STACK_PAGES: u64 = 32;

impl<'k, M: Machine> Genesis<'k, '_, M> {
    /// A process with image, stack, message page and the slots that every program has.
    pub(super) fn program(
        &mut self,
        name: &'static str,
        image: &[u8],
        priority: u8,
    ) -> Result<Program<'k>> {
        let (oid, frame) = self.sell(Kind::Process)?;
        let (root_oid, root) = self.sell(Kind::CapTable)?;
        let (space_oid, space) = self.sell(Kind::Table4)?;
        let entry = self.load(name, image, space)?;
        let write = Rights::READ | Rights::WRITE;
        for n in 1..=STACK_PAGES {
            self.page(space, layout::STACK_TOP - n * PAGE_SIZE as u64, write)?;
        }
        self.page(space, layout::FAULT_STACK_TOP - PAGE_SIZE as u64, write)?;
        let (message, _) = self.page(space, layout::MESSAGE, write)?;

        let process = self.kernel.process(frame);
        let mut text = [0; 16];
        text.iter_mut()
            .zip(name.bytes())
            .for_each(|(to, from)| *to = from);
        process.name.set(text);
        process.priority.set(priority);
        process.ceiling.set(PRIORITIES as u64 - 1);
        process.root.set(root);
        process.root_oid.set(root_oid);
        process.space.set(space);
        process.space_oid.set(space_oid);
        let parent = Parent {
            holder: oid,
            index: Parent::PROCESS,
        };
        for owner in [root_oid, space_oid] {
            if let Some(row) = self.kernel.row(owner) {
                row.parents[0].set(parent);
            }
        }
        let start = Preserved {
            rip: entry,
            rsp: layout::STACK_TOP,
            rflags: USER_FLAGS,
            ..Preserved::default()
        };
        process.preserved.set(start);
        process.message.set(Registers::default());
        process.full.set(1);
        process.configured.set(1);

        let second = {
            let third = self.table(space, 4, layout::IMAGE)?;
            self.table(third, 3, layout::IMAGE)?
        };
        let second = self.kernel.frame_row(second).owner.get();
        let own = Rights::MANAGE | Rights::INSPECT;
        let full = Rights::FULL;
        self.put(
            root,
            slot::ROOT,
            self.capability(Kind::CapTable, full, root_oid),
        );
        self.put(
            root,
            slot::PROCESS,
            self.capability(Kind::Process, own, oid),
        );
        self.put(
            root,
            slot::SPACE,
            self.capability(Kind::Table2, full, second),
        );
        self.put(root, slot::LOG, Capability::service(Kind::Log, 0, 0));
        self.put(root, slot::CLOCK, Capability::service(Kind::Clock, 0, 0));
        self.put(root, slot::RANDOM, Capability::service(Kind::Random, 0, 0));
        self.put(
            root,
            slot::MESSAGE,
            self.capability(Kind::Page, full, message),
        );
        Ok(Program {
            process,
            oid,
            root,
            space,
        })
    }

    /// Maps an image's segments and answers its entry.
    fn load(&mut self, name: &'static str, image: &[u8], space: Frame) -> Result<u64> {
        let image = Image::parse(image).map_err(|why| GenesisError::Image(name, why))?;
        for segment in image.segments() {
            for n in 0..segment.pages {
                let address = segment.address + (n * PAGE_SIZE) as u64;
                let (_, frame) = self.page(space, address, segment.rights)?;
                let from = (n * PAGE_SIZE).min(segment.bytes.len());
                let to = ((n + 1) * PAGE_SIZE).min(segment.bytes.len());
                self.fill(frame, 0, &segment.bytes[from..to]);
            }
        }
        Ok(image.entry)
    }

    /// Copies bytes into a frame, from a byte offset on.
    pub(super) fn fill(&self, frame: Frame, offset: usize, bytes: &[u8]) {
        let words: &Words = self.kernel.view(frame);
        for (n, byte) in bytes.iter().enumerate() {
            let at = offset + n;
            let shift = 8 * (at % 8);
            let word = words.get(at / 8) & !(0xff << shift) | u64::from(*byte) << shift;
            words.set(at / 8, word);
        }
    }

    /// Writes a program's arguments: length, words, bytes.
    pub(super) fn arguments(
        &mut self,
        program: &Program,
        words: &[u64],
        bytes: &[u8],
    ) -> Result<()> {
        let (_, frame) = self.page(program.space, layout::ARGUMENTS, Rights::READ)?;
        let bytes = &bytes[..bytes.len().min(PAGE_SIZE - 4 - words.len() * 8)];
        self.fill(
            frame,
            0,
            &((words.len() * 8 + bytes.len()) as u32).to_le_bytes(),
        );
        for (n, word) in words.iter().enumerate() {
            self.fill(frame, 4 + n * 8, &word.to_le_bytes());
        }
        self.fill(frame, 4 + words.len() * 8, bytes);
        Ok(())
    }
}
