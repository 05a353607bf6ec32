//! Methods that make banks and change what they may do.

use abi::cap::{Kind, Rights};
use sys::bank::{BankRights, method};
use sys::{Mem, Request, Sys};

use crate::entry::{NIL, State};
use crate::kernel::record_place;
use crate::ledger::MAX_DEPTH;
use crate::owner::{Owner, Serial};
use crate::record::{List, Record, Records};
use crate::refusal::Refusal;
use crate::server::{Answer, Server, kind_of};

impl<R: Records, M: Mem> Server<'_, R, M> {
    /// `SUB_BANK`. The child's record is one of the parent's objects, mapped where nobody but
    /// spacebank reaches it.
    pub(crate) fn sub_bank(
        &mut self,
        sys: &impl Sys,
        bank: Owner,
        request: &Request,
    ) -> Result<Answer, Refusal> {
        let [_, limit, opaque, ..] = request.words;
        if opaque > 1 {
            return Err(Refusal::Argument);
        }
        if self.ledger.depth(bank) >= MAX_DEPTH {
            return Err(Refusal::Depth);
        }
        self.ledger
            .room(bank, 1)
            .map_err(|level| Refusal::Quota { level })?;
        let oid = self.ledger.objects.free_head();
        if oid == NIL || !self.ledger.objects.entry(oid).fresh() {
            return Err(Refusal::Exhausted);
        }
        let serial = Serial::new(oid, self.ledger.objects.entry(oid).generation + 1);
        let opaque = opaque == 1 || self.ledger.record(bank).opaque();

        let kernel = self.kernel(sys);
        let (segment, place) = record_place(oid);
        kernel.make_start(serial.badge(BankRights::all()))?;
        kernel.mint_into(
            segment,
            &[oid],
            Kind::Page,
            Rights::READ | Rights::WRITE,
            place,
        )?;

        self.ledger.objects.acquire(oid);
        let entry = self.ledger.objects.entry_mut(oid);
        entry.generation += 1;
        entry.set(State::Record, Kind::Page, bank);
        self.ledger
            .records
            .create(oid, Record::new(serial, limit, opaque));
        self.ledger.put(bank, List::Children, oid);
        self.ledger.charge(bank, 1);
        Ok(Answer::words(&[serial.id()]).with_capability())
    }

    /// `RESTRICT`.
    pub(crate) fn restrict(
        &mut self,
        sys: &impl Sys,
        serial: Serial,
        rights: BankRights,
        request: &Request,
    ) -> Result<Answer, Refusal> {
        let wanted = u8::try_from(request.words[1])
            .ok()
            .and_then(BankRights::from_bits)
            .ok_or(Refusal::Argument)?;
        if !rights.contains(wanted) {
            return Err(Refusal::Right);
        }
        self.kernel(sys).make_start(serial.badge(wanted))?;
        Ok(Answer::default().with_capability())
    }

    /// `SET_LIMIT`.
    pub(crate) fn set_limit(&mut self, bank: Owner, request: &Request) -> Result<Answer, Refusal> {
        if bank == Owner::PRIME {
            return Err(Refusal::Prime);
        }
        self.ledger.record_mut(bank).limit = request.words[1];
        Ok(Answer::default())
    }

    /// `USAGE`.
    pub(crate) fn usage(&self, bank: Owner) -> Answer {
        let record = self.ledger.record(bank);
        Answer::words(&[
            record.limit,
            record.live,
            record.limbo,
            record.high_water,
            record.count(List::Children).into(),
            record.serial,
        ])
    }

    /// `USAGE_OF_KIND`.
    pub(crate) fn usage_of_kind(&self, bank: Owner, request: &Request) -> Result<Answer, Refusal> {
        let kind = kind_of(request.words[1])?;
        let count = self.ledger.record(bank).count(List::Of(kind));
        Ok(Answer::words(&[count.into()]))
    }

    /// `VERIFY`, on the verifier. A bank that is being destroyed or removed is not genuine any more.
    pub(crate) fn verify(&self, request: &Request) -> Result<Answer, Refusal> {
        if request.words[0] != method::VERIFY {
            return Err(Refusal::Method);
        }
        // Bit 4: the first capability is a `Start` to this very process, and this is its badge.
        let (serial, _) = Serial::from_badge(request.own_badge);
        let bank = if request.received & 0x10 != 0 {
            self.ledger.find(serial)
        } else {
            None
        };
        Ok(match bank.filter(|bank| self.ledger.serves(*bank)) {
            None => Answer::words(&[0, 0, 0]),
            Some(bank) => {
                let opaque = self.ledger.record(bank).opaque();
                Answer::words(&[1, opaque.into(), serial.id()])
            }
        })
    }
}
