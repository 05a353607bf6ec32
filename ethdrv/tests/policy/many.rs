//! Many sessions at once, of all kinds, with whatever may happen to them in any order, against a model:
//! each recipient gets exactly its own frames, of each sender in order, unaltered, none twice.
//!
//! Nobody is sent more than it has room for, so nothing may be lost but what a sender takes along that
//! leaves, or whose memory is taken back.

use std::collections::{BTreeMap, VecDeque};

use dev::Mac;
use dev::admin::PortState;
use dev::session::Frame;
use dev::settings::{Pinning, PortSettings, Rate, Receive};
use dev::statistics::Counter;
use proptest::prelude::*;

use crate::flip::{FLIP, HYBRID, sealed};
use crate::support::client::Client;
use crate::support::device::FRAME_LIMIT;
use crate::support::{OUTSIDE, World, frame, settings};

/// Sessions.
const USERS: usize = 9;
/// Pages of a user's that may be under way or held: half of them may be with the device, and small frames
/// are packed into one.
const ROOM: usize = 7;
/// Frames that wait on the wire at most: fewer than there are buffers.
const ON_THE_WIRE: usize = 8;
/// Buffers that the device takes.
const CAPACITY: u16 = 64;
/// Longest frames where they may be long.
const LONG: u32 = 9014;

const COPY: Receive = Receive {
    strategy: dev::settings::Strategy::Copy,
    ..FLIP
};
const WAYS: [Receive; 6] = [
    COPY,
    FLIP,
    HYBRID,
    sealed(COPY),
    sealed(FLIP),
    sealed(HYBRID),
];

#[derive(Clone, Debug)]
enum Step {
    Attach(usize),
    Detach(usize),
    /// Its bank goes; another user follows at the port.
    Revoke(usize),
    /// The wire brings a frame, of a length out of so many.
    Bring(usize, u32),
    /// One sends to another.
    Send(usize, usize, u32),
    /// One sends to the wire.
    Leave(usize, u32),
    /// One sends to everybody, once all that is under way has arrived.
    Tell(usize, u32),
    /// One takes what came.
    Take(usize),
    /// One gives back so many of the frames that it has taken.
    Return(usize, usize),
    Switch(usize, usize),
    Rate(usize, u16),
    /// The driver does a round.
    Round,
    /// It works until there is nothing to do.
    Run,
    /// The device is done with a frame.
    Complete,
}

fn steps() -> impl proptest::strategy::Strategy<Value = Vec<Step>> {
    let user = || 0..USERS;
    let step = prop_oneof![
        3 => user().prop_map(Step::Attach),
        1 => user().prop_map(Step::Detach),
        1 => user().prop_map(Step::Revoke),
        12 => (user(), any::<u32>()).prop_map(|(to, length)| Step::Bring(to, length)),
        8 => (user(), user(), any::<u32>())
            .prop_map(|(from, to, length)| Step::Send(from, to, length)),
        3 => (user(), any::<u32>()).prop_map(|(from, length)| Step::Leave(from, length)),
        1 => (user(), any::<u32>()).prop_map(|(from, length)| Step::Tell(from, length)),
        6 => user().prop_map(Step::Take),
        6 => (user(), 1usize..8).prop_map(|(user, count)| Step::Return(user, count)),
        3 => (user(), 0..WAYS.len()).prop_map(|(user, way)| Step::Switch(user, way)),
        1 => (user(), 1u16..9).prop_map(|(user, share)| Step::Rate(user, share)),
        8 => Just(Step::Round),
        3 => Just(Step::Run),
        4 => Just(Step::Complete),
    ];
    proptest::collection::vec(step, 1..300)
}

/// Pages that a frame takes at most.
fn pages(frame: &[u8]) -> usize {
    frame.len().div_ceil(4096 - 64)
}

struct User {
    client: Client,
    /// Taken, and not given back.
    held: VecDeque<Frame>,
    /// Pages of frames that are on their way to it, and of those held.
    room: usize,
}

/// All of it.
struct Model {
    world: World,
    users: Vec<User>,
    /// What is on its way, by sender and recipient.
    flows: BTreeMap<(Mac, Mac), VecDeque<Vec<u8>>>,
    limit: u32,
    number: u32,
}

impl Model {
    fn new(long: bool, prompt: bool) -> Model {
        let limit = if long { LONG } else { FRAME_LIMIT };
        let world = World::with(CAPACITY, limit);
        world.add_aperture();
        world.prompt(prompt);
        let user = |n: usize| {
            let port = world.port(PortSettings {
                receive: WAYS[n % WAYS.len()],
                pinning: [Pinning::Session, Pinning::Frame][n % 2],
                ..settings(n as u8 + 1)
            });
            let mut client = world.client(port, 1000);
            client.attach().unwrap();
            User {
                client,
                held: VecDeque::new(),
                room: 0,
            }
        };
        let users = (0..USERS).map(user).collect();
        Model {
            world,
            users,
            flows: BTreeMap::new(),
            limit,
            number: 0,
        }
    }

    fn mac(&self, user: usize) -> Mac {
        self.users[user].client.port.mac
    }

    fn is_attached(&self, user: usize) -> bool {
        self.users[user].client.session.is_some()
    }

    /// The next frame from one to another: mostly short.
    fn frame(&mut self, from: Mac, to: Mac, length: u32, limit: u32) -> Vec<u8> {
        let longest = if length.is_multiple_of(4) { limit } else { 300 };
        self.number += 1;
        let length = 60 + (length >> 3) % (longest - 59);
        frame(to, from, self.number, length as usize)
    }

    fn expect(&mut self, from: Mac, to: Mac, frame: Vec<u8>) {
        self.flows.entry((from, to)).or_default().push_back(frame);
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Attach(user) => self.attach(user),
            Step::Detach(user) => {
                if let Some(session) = self.users[user].client.session.take() {
                    self.users[user].held.clear();
                    let program = self.users[user].client.program.clone();
                    // The answer comes when its frames have left.
                    let prompt = self.world.prompt(true);
                    session.detach(&program);
                    self.world.prompt(prompt);
                    self.is_gone(user);
                }
            }
            Step::Revoke(user) => {
                let port = self.users[user].client.port;
                self.world.destroy(self.users[user].client.bank);
                self.users[user].held.clear();
                self.users[user].client = self.world.client(port, 1000);
                self.is_gone(user);
            }
            Step::Bring(to, length) => {
                if self.world.device.borrow().incoming.len() >= ON_THE_WIRE {
                    self.world.run();
                }
                let (mac, limit) = (self.mac(to), self.limit);
                let frame = self.frame(OUTSIDE, mac, length, limit);
                if self.take_room(to, &frame) {
                    self.world.inject(frame.clone());
                    self.expect(OUTSIDE, mac, frame);
                }
            }
            Step::Send(from, to, length) => {
                let mac = self.mac(to);
                if from != to
                    && let Some(frame) = self.sendable(from, mac, length)
                    && self.take_room(to, &frame)
                {
                    self.send(from, mac, frame);
                }
            }
            Step::Leave(from, length) => {
                if let Some(frame) = self.sendable(from, OUTSIDE, length) {
                    self.send(from, OUTSIDE, frame);
                }
            }
            Step::Tell(from, length) => self.tell(from, length),
            Step::Take(user) => self.take(user),
            Step::Return(user, count) => self.give_back(user, count),
            Step::Switch(user, way) => {
                let (init, port) = (&self.world.init.sys, self.users[user].client.port.number);
                let admin = self.world.admin;
                admin.set_receive(init, port, WAYS[way]).unwrap();
            }
            Step::Rate(user, share) => {
                let (init, port) = (&self.world.init.sys, self.users[user].client.port.number);
                let rate = Rate {
                    share,
                    ..Rate::default()
                };
                self.world.admin.set_rate(init, port, rate).unwrap();
            }
            Step::Round => {
                self.world.driver.borrow_mut().round();
            }
            Step::Run => self.world.run(),
            Step::Complete => {
                self.world.device.borrow_mut().complete();
            }
        }
        self.see_what_left();
    }

    fn attach(&mut self, user: usize) {
        if !self.is_attached(user) {
            // A port is attached to so often and no oftener.
            self.world.advance(10_000_000_000);
            self.users[user].client.attach().unwrap();
        }
    }

    /// There is room for a frame, and it is taken.
    fn take_room(&mut self, user: usize, frame: &[u8]) -> bool {
        let room = self.users[user].room + pages(frame);
        let fits = self.is_attached(user) && room <= ROOM;
        if fits {
            self.users[user].room = room;
        }
        fits
    }

    /// A frame that a user could send now.
    fn sendable(&mut self, from: usize, to: Mac, length: u32) -> Option<Vec<u8>> {
        let mac = self.mac(from);
        let session = self.users[from].client.session.as_mut()?;
        let limit = session.send_limit();
        let room = session.room().unwrap();
        (room > 0).then(|| self.frame(mac, to, length, limit))
    }

    fn send(&mut self, from: usize, to: Mac, frame: Vec<u8>) {
        let sent = self.users[from].client.send(std::slice::from_ref(&frame));
        assert_eq!(sent, 1, "there was room");
        self.expect(self.mac(from), to, frame);
    }

    /// Everything that is under way arrives.
    fn settle(&mut self) {
        let prompt = self.world.prompt(true);
        while self.world.device.borrow_mut().complete() {}
        self.world.run();
        self.see_what_left();
        (0..USERS).for_each(|user| self.take(user));
        self.world.prompt(prompt);
    }

    fn tell(&mut self, from: usize, length: u32) {
        self.settle();
        (0..USERS).for_each(|user| self.give_back(user, usize::MAX));
        let Some(frame) = self.sendable(from, Mac::BROADCAST, length % 1000) else {
            return;
        };
        let mac = self.mac(from);
        for user in (0..USERS).filter(|user| *user != from) {
            if self.take_room(user, &frame) {
                self.expect(mac, self.mac(user), frame.clone());
            }
        }
        self.send(from, OUTSIDE, frame);
        self.settle();
    }

    /// A user takes what came, and looks at it.
    fn take(&mut self, user: usize) {
        let User { client, held, .. } = &mut self.users[user];
        let Some(session) = &mut client.session else {
            return;
        };
        while let Some(frame) = session.receive().unwrap() {
            let mut bytes = vec![0; frame.len()];
            frame.read(session.receive_memory(), &mut bytes).unwrap();
            held.push_back(frame);
            let from = Mac::new(bytes[6..12].try_into().unwrap());
            let flow = self.flows.entry((from, client.port.mac)).or_default();
            assert_eq!(Some(bytes), flow.pop_front(), "user {user}");
        }
    }

    fn give_back(&mut self, user: usize, count: usize) {
        let User { client, held, room } = &mut self.users[user];
        let program = client.program.clone();
        let Some(session) = &mut client.session else {
            return;
        };
        for frame in held.drain(..count.min(held.len())) {
            *room -= frame.len().div_ceil(4096 - 64);
            session.give_back(frame);
        }
        session.flush(&program).unwrap();
    }

    /// What left for the wire is what was sent, in order.
    fn see_what_left(&mut self) {
        for frame in self.world.wire() {
            let from = Mac::new(frame[6..12].try_into().unwrap());
            let flow = self.flows.entry((from, OUTSIDE)).or_default();
            assert_eq!(Some(frame), flow.pop_front(), "on the wire");
        }
    }

    /// A user's session is over: it gets nothing more, and what it sent may have been lost from some
    /// frame on.
    fn is_gone(&mut self, user: usize) {
        let mac = self.mac(user);
        self.users[user].room = 0;
        self.flows.retain(|(_, to), _| *to != mac);
        self.settle();
        // What was brought for it meanwhile is nobody's.
        self.flows.retain(|(_, to), _| *to != mac);
        for (n, user) in self.users.iter_mut().enumerate() {
            let lost = self.flows.remove(&(mac, user.client.port.mac));
            let lost: usize = lost.iter().flatten().map(|frame| pages(frame)).sum();
            assert!(lost <= user.room, "user {n}");
            user.room -= lost;
        }
        self.flows.remove(&(mac, OUTSIDE));
    }

    /// What was taken back while the device had it comes back when frames have come in it.
    fn drain_limbo(&mut self) {
        self.attach(0);
        for n in 0..3 * CAPACITY as u32 {
            self.settle();
            self.give_back(0, usize::MAX);
            self.step(&Step::Bring(0, 8 * n + 1));
        }
        self.settle();
    }

    /// All leave, and nothing of theirs is left.
    fn end(mut self) {
        self.settle();
        for ((from, to), flow) in &self.flows {
            assert!(flow.is_empty(), "{from} to {to}: {} are lost", flow.len());
        }
        for user in 0..USERS {
            for counter in [Counter::NoPage, Counter::RingFull, Counter::Misbehaved] {
                let port = self.users[user].client.port;
                let count = self.world.counter(port, counter);
                assert_eq!(count, 0, "user {user}: {counter:?}");
            }
        }
        self.drain_limbo();
        (0..USERS).for_each(|user| self.step(&Step::Detach(user)));
        self.world.run();
        for user in &self.users {
            let state = self.world.state(user.client.port).state;
            assert_eq!(state, PortState::Idle);
        }
        assert_eq!(self.world.device.borrow().dropped, 0);
        assert_eq!(self.world.kernel.borrow().limbo_frames(), 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn many_sessions_of_all_kinds_get_exactly_their_own_frames(
        long in any::<bool>(),
        prompt in any::<bool>(),
        steps in steps(),
    ) {
        let mut model = Model::new(long, prompt);
        for step in &steps {
            model.step(step);
        }
        model.end();
    }
}
