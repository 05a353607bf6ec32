//! The wire process: carries frames between the driver's windows and the host at the other end.

use guest::wired::{Cable, Failure, System};
use rt::Kernel;
use sys::object::Process;
use sys::{Cap, Mem, Sys};

use crate::peer::{FRAME, Heard, Peer};

/// How often nothing but other frames may come before the stack is given up.
const PATIENCE: u32 = 1000;

/// The wire process's state.
pub struct WireProcess {
    /// Its end of the rings.
    pub cable: Cable,
    /// The stack that echoes.
    pub stack: Cap<Process>,
}

impl WireProcess {
    /// Asks for the stack's address until it answers.
    pub fn resolve(&mut self, system: &System, peer: &mut Peer) -> Result<(), Failure> {
        for _ in 0..PATIENCE {
            let request = peer.request();
            self.arrive(system, request)?;
            self.cable.tell()?;
            if self.listen(system, peer)?.resolved {
                return Ok(());
            }
        }
        Err(Failure::Wrong("the stack's address can't be resolved"))
    }

    /// Has `count` datagrams echoed, `outstanding` of them at a time.
    pub fn echo(
        &mut self,
        system: &System,
        peer: &mut Peer,
        payload: usize,
        outstanding: u64,
        count: u64,
    ) -> Result<(), Failure> {
        let (mut sent, mut back, mut in_vain) = (0, 0, 0);
        while back < count {
            while sent < count && sent - back < outstanding {
                let datagram = peer.datagram(payload);
                self.arrive(system, datagram)?;
                sent += 1;
            }
            self.cable.tell()?;
            let heard = self.listen(system, peer)?;
            back += heard.echoes;
            in_vain = if heard.echoes > 0 { 0 } else { in_vain + 1 };
            if in_vain > PATIENCE {
                return Err(Failure::Wrong("echoes are missing"));
            }
        }
        Ok(())
    }

    /// A frame arrives: what DMA would do.
    fn arrive(&mut self, system: &System, frame: &[u8]) -> Result<(), Failure> {
        let buffer = self
            .cable
            .end
            .buffer()?
            .ok_or(Failure::Wrong("the driver posts no buffers"))?;
        if frame.len() > buffer.span.length {
            return Err(Failure::Wrong("the driver's buffers are too short"));
        }
        system
            .window(buffer.span.window)?
            .write(buffer.span.offset, frame)?;
        self.cable.end.filled(buffer.token, frame.len())?;
        Ok(())
    }

    /// Waits for frames, and hands to the host those that there are.
    fn listen(&mut self, system: &System, peer: &mut Peer) -> Result<Heard, Failure> {
        if !self.cable.end.ask()? {
            Kernel.wait([0; 4]);
        }
        let mut heard = Heard::default();
        let mut frame = [0; FRAME];
        while let Some(pieces) = self.cable.end.sent()? {
            let mut length = 0;
            for piece in pieces {
                let into = frame
                    .get_mut(length..length + piece.length)
                    .ok_or(Failure::Wrong("a frame is too long"))?;
                if piece.length > 0 {
                    system.window(piece.window)?.read(piece.offset, into)?;
                }
                length += piece.length;
            }
            peer.hear(&frame[..length], &mut heard)?;
        }
        self.cable.end.carried();
        if heard.asked {
            let answer = peer.answer();
            self.arrive(system, answer)?;
        }
        self.cable.tell()?;
        Ok(heard)
    }
}
