//! Users: their banks, ports and stacks, which come and go.

use abi::boot::slot;
use abi::cap::{CapAddr, Kind};
use abi::error::EMFILE;
use dev::Program as _;
use dev::program::BANK;
use dev::settings::{Pinning, PortSettings, Rate, Receive, Strategy};
use rt::child::Grant;
use sys::bank::{Bank, BankRights};
use sys::object::{Aperture, Notify, Table};
use sys::{Cap, Error};

use super::{Between, COPIER, COPIERS, Init, LIMIT, STACK, User};
use crate::actor::stack::{self, Manner};
use crate::launch::Launch;
use crate::network::{Party, RECEIVE_PAGES, mac};

impl Init {
    /// A user's bank, port and stack.
    pub(super) fn bring_up(&mut self, n: usize) {
        if let Err(error) = self.try_bring_up(n) {
            self.context
                .claim(false, || format!("bringing up user {n}: {error}"));
        }
    }

    fn try_bring_up(&mut self, n: usize) -> Result<(), Error> {
        let context = &self.context;
        let User {
            number,
            manner,
            bank,
            process,
            root,
            between,
            ..
        } = self.users[n];
        let limit = LIMIT + between.map_or(0, |_| COPIERS);
        BANK.sub_bank(context, limit, false, bank)?;
        bank.restrict(context, BankRights::all() - BankRights::REMOVE, self.lent)?;
        self.add_port(n)?;
        let steady = manner == Manner::Steady;
        self.setting.network.set_user(number, steady);
        if manner == Manner::Foul {
            self.setting.network.set_foul(number);
        }
        let port = match between {
            Some(between) => self.interpose(n, between)?,
            None => self.users[n].port.address(),
        };
        let grants = [Grant::new(stack::PORT, port)];
        let name = ["steady", "flighty", "foul"][manner as usize];
        let launch = Launch {
            grants: &grants,
            priority: if self.flat {
                20
            } else {
                10 + self.dice().below(12) as u8
            },
            keeper: self.keeper,
            argument: manner.word(number),
            ..Launch::new(name, STACK, self.lent)
        };
        self.launcher.launch(&launch, process, root)?;
        self.clear(self.lent.address());
        self.users[n].alive = true;
        Ok(())
    }

    /// Starts a user's copier; answers the port that it serves.
    fn interpose(&self, n: usize, between: Between) -> Result<CapAddr, Error> {
        let context = &self.context;
        let Between {
            bank,
            process,
            root,
            port,
        } = between;
        self.users[n].bank.sub_bank(context, COPIERS, false, bank)?;
        let grants = [
            Grant::new(copier::grant::PORT, self.users[n].port.address()),
            Grant::new(copier::grant::VERIFIER, slot::INIT_VERIFIER),
        ];
        let launch = Launch {
            grants: &grants,
            priority: if self.flat {
                20
            } else {
                10 + self.dice().below(12) as u8
            },
            keeper: self.keeper,
            ..Launch::new("copier", COPIER, bank)
        };
        let child = self.launcher.launch(&launch, process, root)?;
        child
            .process
            .make_start(context, copier::grant::PORT_BADGE, port)?;
        context.world().count("copiers");
        Ok(port)
    }

    pub(super) fn add_port(&mut self, n: usize) -> Result<(), Error> {
        let context = &self.context;
        let user = &self.users[n];
        for (kind, slot) in [(Kind::Aperture, user.aperture), (Kind::Table1, user.window)] {
            self.clear(slot);
            let (table, index) = self.program.table_of(slot);
            self.driver_bank.buy_caps(context, kind, 1, table, index)?;
        }
        let (aperture, window): (Cap<Aperture>, Cap<Table>) =
            (Cap::at(user.aperture), Cap::at(user.window));
        self.function.bind(context, aperture)?;
        aperture.set_window(context, window)?;
        self.clear(user.port.address());
        let settings = PortSettings {
            mac: mac(user.number),
            rate: self.any_rate(),
            transmit_pages: self.setting.card.transmit_pages(),
            receive_pages: RECEIVE_PAGES,
            receive: self.any_receive(user.number),
            pinning: *self.dice().pick(&[Pinning::Session, Pinning::Frame]),
        };
        let made = self
            .admin
            .add_port(context, &settings, aperture, window, user.port)?;
        self.users[n].made = Some(made);
        Ok(())
    }

    /// Some way for a user to receive. Who may see nothing of others' copies, or is sealed.
    fn any_receive(&self, user: Party) -> Receive {
        let dice = self.dice();
        let ways = [Strategy::Copy, Strategy::Flip, Strategy::Hybrid];
        let strategy = *dice.pick(&ways);
        Receive {
            strategy,
            threshold: *dice.pick(&[1, 60, 200, 1000, 2048, 9000]),
            sealed: self.setting.network.is_private(user) || dice.one_in(2),
        }
    }

    /// Some speed for a user to send at: mostly any.
    fn any_rate(&self) -> Rate {
        let dice = self.dice();
        let frame = u64::from(self.setting.card.information().frame_limit);
        Rate {
            bytes_per_second: *dice.pick(&[0, 0, 0, 1_000_000, 20_000_000, 500_000_000]),
            burst: frame * dice.range(1, 8),
            share: dice.range(1, 8) as u16,
        }
    }

    /// A user sends faster or slower from now on.
    pub(super) fn throttle(&self, n: usize) {
        let Some(number) = self.users[n].made else {
            return;
        };
        let rate = self.any_rate();
        let changed = self.admin.set_rate(&self.context, number, rate);
        self.context.world().count("rates changed");
        self.context
            .claim(changed.is_ok(), || format!("another rate: {changed:?}"));
    }

    /// A user receives otherwise from now on, while frames come.
    pub(super) fn switch(&self, n: usize) {
        let Some(number) = self.users[n].made else {
            return;
        };
        let receive = self.any_receive(self.users[n].number);
        let switched = self.admin.set_receive(&self.context, number, receive);
        self.context.world().count("strategies switched");
        self.context
            .note(|| format!("user {n} receives by {receive}"));
        self.context
            .claim(switched.is_ok(), || format!("switching: {switched:?}"));
    }

    /// Ends a port, and sells what it was made of.
    fn remove_port(&mut self, n: usize) {
        let Some(number) = self.users[n].made.take() else {
            return;
        };
        let context = &self.context;
        let removed = self.admin.remove_port(context, number);
        context.claim(removed.is_ok(), || format!("removing a port: {removed:?}"));
        let User {
            port,
            aperture,
            window,
            ..
        } = self.users[n];
        for slot in [aperture, window] {
            let sold = self.driver_bank.sell(context, slot);
            context.claim(sold.is_ok(), || {
                format!("selling a port's objects: {sold:?}")
            });
            self.clear(slot);
        }
        self.clear(port.address());
    }

    /// init ends a user's session through its port.
    pub(super) fn destroy_session(&mut self, n: usize) {
        let Some(number) = self.users[n].made else {
            return;
        };
        let context = &self.context;
        self.clear(self.scratch);
        let state = self.admin.inspect(context, number, self.scratch);
        context.claim(state.is_ok(), || format!("looking at a port: {state:?}"));
        let bank: Cap<Bank> = Cap::at(self.scratch);
        // There may be no session.
        let destroyed = bank.destroy(context);
        context.note(|| format!("destroyed a session's bank: {destroyed:?}"));
        self.context
            .world()
            .count("session banks destroyed through ports");

        self.clear(self.scratch);
    }

    /// Destroys a user's bank, in the middle of whatever it does. Then its port, or its port first.
    pub(super) fn take_back(&mut self, n: usize) {
        self.context.note(|| format!("user {n} loses everything"));
        self.context.world().count("users' banks destroyed");

        let port_first = self.dice().one_in(2);
        self.setting.network.loses(self.users[n].number);
        if port_first {
            self.remove_port(n);
        }
        let User {
            bank,
            process,
            root,
            between,
            ..
        } = self.users[n];
        let context = &self.context;
        let done = if self.dice().one_in(3) {
            let notify: Cap<Notify> = Cap::at(self.keeper);
            match bank.destroy_and_notify(context, notify) {
                Err(error) if !error.is(EMFILE) => Err(error),
                _ => bank.destroy(context),
            }
        } else {
            bank.destroy(context)
        };
        context.claim(matches!(done, Ok(()) | Err(Error::VOID)), || {
            format!("destroying a user's bank: {done:?}")
        });
        if !port_first {
            self.remove_port(n);
        }
        // Its session is over, and nothing of it is on its way.
        self.setting.network.settled(self.users[n].number);
        let copier = between.iter().flat_map(|it| {
            let Between {
                bank,
                process,
                root,
                port,
            } = *it;
            [bank.address(), process, root, port]
        });
        [bank.address(), process, root]
            .into_iter()
            .chain(copier)
            .for_each(|slot| self.clear(slot));
        self.users[n].alive = false;
    }
}
