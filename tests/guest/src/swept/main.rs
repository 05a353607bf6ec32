//! The programs under the sweep that are not the system's own: a client of the ethernet driver's, and
//! the injector, which destroys a bank at the instant at which it is told to. See `sweep`.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use abi::boot::slot;
use dev::bare::This;
use dev::port::Port;
use dev::program::PROCESS;
use dev::session::{Lost, Session, TransmitSegment};
use guest::sweeping::{
    HOST, LONGEST, RECEIVE_PAGES, Role, SENT, TRANSMIT_PAGES, bit, grant, read, write,
};
use rt::{Kernel, slots};
use sys::bank::Bank;
use sys::object::Notify;
use sys::{Cap, Event, Mem, Sys};

rt::entry!(main);

const PORT: Port = Port::at(grant::PORT);
/// What it offers for its session.
const PORT_BANK: Cap<Bank> = Cap::at(grant::PORT_BANK);
/// Length of the frames that it sends of its own accord.
const LENGTH: usize = 300;

fn main() -> Result<(), &'static str> {
    match rt::arguments() {
        Ok(Role::Client(mac)) => client(mac),
        Ok(Role::Injector) => inject(),
        Err(_) => Err("no arguments"),
    }
}

/// Destroys what it is told to, when it is told to.
fn inject() -> ! {
    let victim: Cap<Bank> = Cap::at(grant::VICTIM);
    let done: Cap<Notify> = Cap::at(grant::DONE);
    loop {
        Kernel.wait([0; 4]);
        // Who has destroyed it before was faster: that is what is tried here, too.
        let _ = victim.destroy(&Kernel);
        let _ = done.signal(&Kernel);
    }
}

/// A client, and its session if it has one.
struct Client {
    program: This,
    mac: [u8; 6],
    segment: TransmitSegment<This>,
    notify: Cap<Notify>,
    session: Option<Session<This>>,
    frame: [u8; LONGEST],
    sent: u64,
}

fn client(mac: [u8; 6]) -> Result<(), &'static str> {
    let program = This::new().map_err(|_| "no clock")?;
    let notify = slots::take().map_err(|_| "no slot")?;
    PROCESS
        .make_notify(&Kernel, bit::SESSION, notify)
        .map_err(|_| "no notification")?;
    let segment =
        TransmitSegment::buy(&program, TRANSMIT_PAGES).map_err(|_| "no transmit segment")?;
    let mut client = Client {
        program,
        mac,
        segment,
        notify: Cap::at(notify),
        session: None,
        frame: [0; LONGEST],
        sent: 0,
    };
    loop {
        let Event::Notified { bits, .. } = Kernel.wait([0; 4]) else {
            continue;
        };
        if bits & (1 << bit::ATTACH | 1 << bit::DETACH) != 0
            && let Some(session) = client.session.take()
        {
            session.detach(&client.program);
        }
        if bits & 1 << bit::ATTACH != 0 {
            client.attach();
        }
        if bits & 1 << bit::SEND != 0 {
            client.outcome(Client::send)?;
        }
        client.outcome(Client::serve)?;
    }
}

impl Client {
    /// Attaches; whether it did, the driver knows too.
    fn attach(&mut self) {
        let attached = Session::attach(
            &self.program,
            PORT,
            PORT_BANK,
            &self.segment,
            RECEIVE_PAGES,
            self.notify,
        );
        self.session = attached.ok();
    }

    /// Does something with the session, if there is one, which may turn out to be lost.
    fn outcome(
        &mut self,
        act: impl FnOnce(&mut Client, &mut Session<This>) -> Result<bool, Lost>,
    ) -> Result<(), &'static str> {
        let Some(mut session) = self.session.take() else {
            return Ok(());
        };
        match act(self, &mut session) {
            Ok(true) => self.session = Some(session),
            Ok(false) => return Err("a frame isn't what was sent to it"),
            Err(Lost::Revoked) => session.detach(&self.program),
            Err(Lost::Broken) => return Err("the driver breaks the protocol"),
        }
        Ok(())
    }

    /// Sends back what came, until nothing more is there. `false`: something was wrong with it.
    fn serve(&mut self, session: &mut Session<This>) -> Result<bool, Lost> {
        loop {
            while session.room()? > 0
                && let Some(frame) = session.receive()?
            {
                let length = frame.len().min(LONGEST);
                frame.read(session.receive_memory(), &mut self.frame[..length])?;
                session.give_back(frame);
                let Some(number) = read(&self.frame[..length], self.mac, HOST) else {
                    return Ok(false);
                };
                self.put(session, length, number)?;
            }
            session.flush(&self.program)?;
            if !session.ask(&self.program, false)? {
                return Ok(true);
            }
        }
    }

    /// Sends frames of its own accord.
    fn send(&mut self, session: &mut Session<This>) -> Result<bool, Lost> {
        for _ in 0..SENT {
            if session.room()? > 0 {
                self.sent += 1;
                self.put(session, LENGTH, self.sent)?;
            }
        }
        session.flush(&self.program)?;
        Ok(true)
    }

    fn put(&mut self, session: &mut Session<This>, length: usize, number: u64) -> Result<(), Lost> {
        let frame = &mut self.frame[..length];
        write(frame, HOST, self.mac, number);
        session.transmit_memory().write(session.buffer(), frame)?;
        session.send(length as u32)?;
        Ok(())
    }
}

const _: () = assert!(slot::GRANT < grant::DONE);
