//! Users come: what a user gets, and in which order.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use rt::child::{Grant, STACK_PAGES};

use super::{Init, Work};
use crate::copier;
use crate::driver::DriverPhase;
use crate::failure::{Failure, Trying};
use crate::guest::SELF_NAMES;
use crate::host::{DEVICE_DMA, DEVICE_MEMORY, Host, priority};
use crate::launch::{OWN_BANK, Order, clear, image};
use crate::manifest::{User, UserSpec};
use crate::pci::card::{self, Means};
use crate::plan::{plan, program_objects};
use crate::port_bank;
use crate::stack;
use crate::user::{Attached, Member, Next, Phase, UserSlots, bit_of};

impl<H: Host> Init<'_, H> {
    /// Starts the driver, and queues the manifest's users.
    pub(crate) fn start_users(&mut self) {
        let means = Means {
            dma: DEVICE_DMA,
            memory: DEVICE_MEMORY,
            function: self.driver.function.address(),
            scratch: self.driver.scratch,
        };
        match card::find(self.host.sys(), self.manifest.system.net_device, means) {
            Ok(card) => {
                self.driver.card = Some(card);
                self.start_driver();
            }
            Err(failure) => {
                log::error!("no network: {failure}");
                self.driver.phase = DriverPhase::Off(failure.to_string());
            }
        }
        for user in self.manifest.user.clone() {
            match self.add_member(user, false) {
                Ok(number) => self.add_work(Work::BringUp(number)),
                Err(failure) => log::error!("{failure}"),
            }
        }
    }

    /// Makes a user known, and reckons what it gets. Nothing is bought yet.
    fn add_member(&mut self, mut user: User, spawned: bool) -> Result<usize, Failure> {
        let name = user.name.to_string();
        let whole = format!("user {name}");
        if SELF_NAMES.contains(&name.as_str()) {
            return Err(Failure::new(whole, "a part of the system has this name"));
        }
        // As many as the strategy takes that it begins with. A port has its pages for life.
        user.receive_slots = Some(user.receive_slots());
        let stack = image(&self.archive, stack::FILE).map_err(|failure| failure.during(&whole))?;
        let mut objects = program_objects(&stack, STACK_PAGES);
        if user.copier {
            let image = image(&self.archive, copier::FILE);
            let image = image.map_err(|failure| failure.during(&whole))?;
            objects += copier::objects(&image, &user);
        }
        let plan = plan(&user, objects).map_err(|error| {
            let advice = match spawned {
                true => format!("--bank {}", error.least),
                false => format!("in the manifest: bank = {}", error.least),
            };
            Failure::new(&whole, error).advise(advice)
        })?;
        // No error: a limit is a ceiling. But who writes such a one may take it for a promise.
        let frames = u64::from(self.boot.frames);
        if u64::from(user.bank) > frames {
            log::warn!(
                "{whole}: a bank of {} pages is more than the machine's {frames}: it may buy what \
                 others leave",
                user.bank
            );
        }
        let slots = UserSlots::take(self.host).map_err(|failure| failure.during(&whole))?;
        let member = Member::new(user, plan, slots, spawned);
        let number = self.members.add(member).ok_or_else(|| {
            slots.give(self.host);
            Failure::new(whole, format!("there are {} already", crate::user::MOST))
                .advise("revoke one")
        })?;
        self.limit_share();
        Ok(number)
    }

    /// Brings up a user described at the console. That its stack is attached, or why not, is
    /// [said later](Init::is_attached).
    ///
    /// # Errors
    /// What was being done, and why it could not be; then nothing of the user is left.
    pub(crate) fn spawn(&mut self, spec: UserSpec) -> Result<String, Failure> {
        let whole = format!("user {}", spec.name());
        let present: Vec<User> = self
            .members
            .iter()
            .map(|(_, member)| member.user.clone())
            .collect();
        let user = spec
            .into_user(&self.manifest, &present)
            .map_err(|error| Failure::new(&whole, error))?;
        if let Some(why) = self.no_driver() {
            return Err(Failure::new(whole, why));
        }
        let number = self.add_member(user, true)?;
        if let Err(failure) = self.bring_up(number) {
            self.give_up(number, Next::Forget);
            return Err(failure.during(whole));
        }
        self.await_attachment(number);
        Ok(String::new())
    }

    /// Why no user can be brought up just now.
    fn no_driver(&self) -> Option<String> {
        match &self.driver.phase {
            DriverPhase::Running { .. } => None,
            DriverPhase::Off(why) => Some(format!("there is no network driver: {why}")),
            _ => Some("the network driver is being restarted; try again in a moment".into()),
        }
    }

    /// Brings up a user whose turn it is. Answers whether there is more to do for it: never.
    pub(crate) fn bring_up_in_turn(&mut self, number: usize) -> bool {
        let Some(member) = self.members.get_mut(number) else {
            return false;
        };
        if member.phase != Phase::Starting {
            return false;
        }
        match &self.driver.phase {
            DriverPhase::Running { .. } => {}
            DriverPhase::Off(why) => {
                member.phase = Phase::Failed(format!("there is no network driver: {why}"));
                return false;
            }
            // The driver's start brings up whoever is starting.
            _ => return false,
        }
        match self.bring_up(number) {
            // That it is up is said when it is attached.
            Ok(()) => {}
            Err(failure) => {
                let failure = failure.during(self.whole(number));
                log::error!("{failure}");
                self.could_not_bring_up(number, failure.to_string());
            }
        }
        false
    }

    /// How a failure names a user.
    pub(crate) fn whole(&self, number: usize) -> String {
        let name = self.members.get(number).map_or("?", Member::name);
        format!("user {name}")
    }

    /// A user who ran before is tried again later, one who never did is not; unless it was the driver that
    /// died meanwhile.
    fn could_not_bring_up(&mut self, number: usize, why: String) {
        let now = self.host.now();
        let driver_died = self.driver_has_stopped();
        let Some(member) = self.members.get_mut(number) else {
            return;
        };
        let next = match member.back_off.deaths() {
            _ if driver_died => Next::Restart { at: now },
            0 => Next::Fail(why),
            _ => {
                let at = member.back_off.died(now);
                match member.back_off.is_hopeless() {
                    true => Next::Fail(why),
                    false => Next::Restart { at },
                }
            }
        };
        self.give_up(number, next);
    }

    /// Bank, port, copier if there is one, and stack. What was made when it fails is left to [`Init::give_up`].
    fn bring_up(&mut self, number: usize) -> Result<(), Failure> {
        let (host, now) = (self.host, self.host.now());
        let stack_image = image(&self.archive, stack::FILE)?;
        let Some(member) = self.members.get(number) else {
            return Ok(());
        };
        let (slots, plan) = (member.slots, member.plan);
        clear(host, slots.bank.address());
        self.make_user_bank(&plan, slots.bank)?;
        if let Some(member) = self.members.get_mut(number) {
            member.has_bank = true;
        }
        self.make_port(number)?;
        let has_copier = |member: &Member| member.user.copier;
        let copier = match self.members.get(number).is_some_and(has_copier) {
            true => Some(image(&self.archive, copier::FILE)?),
            false => None,
        };
        let Some(member) = self.members.get_mut(number) else {
            return Ok(());
        };
        let user = &member.user;
        let port = match &copier {
            None => slots.port,
            Some(image) => {
                let launcher = &mut self.launcher;
                copier::launch(host, launcher, image, user, &slots, bit_of(number))?
            }
        };
        port_bank::make(host, user, slots.bank, slots.port_bank)?;
        let port_bank = self
            .launcher
            .lend(host, slots.port_bank, port_bank::RIGHTS)
            .trying("giving it the bank for its port")?;
        let arguments = stack::arguments(user, &plan)?;
        let order = Order {
            name: user.name.as_str(),
            file: stack::FILE,
            arguments: &arguments,
            priority: priority::STACK,
            stack_pages: STACK_PAGES,
            bank: slots.bank,
            bank_rights: OWN_BANK,
            grants: &[
                Grant::new(stack::PORT_SLOT, port.address()),
                Grant::new(stack::PORT_BANK_SLOT, port_bank),
            ],
            bit: bit_of(number),
        };
        self.launcher
            .launch(host, &stack_image, &order, slots.held)?;
        member.phase = Phase::Running { since: now };
        member.attached = Attached::NotYet;
        member.back_off.started(now);
        Ok(())
    }
}
