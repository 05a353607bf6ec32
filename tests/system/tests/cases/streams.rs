//! The host's end of numbered streams (`guest::numbered`): one to each of several users, who check
//! every frame. No more of a stream is under way than its user has pages for, so that nothing may be
//! lost, whatever happens to the others.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use guest::numbered::{self, Report, SHORTEST, kind};
use system::{Boot, Case, Guest, Net, Wire, milliseconds, seconds};

/// Pages of a user's that may be under way: far fewer than it has, for half of them may be with the
/// device.
const WINDOW: usize = 30;
/// Frames of a stream that are sent before another stream's turn.
const AT_ONCE: usize = 12;
/// How long nothing may be heard of frames that are under way.
const PATIENCE: Duration = Duration::from_secs(10);

/// A stream.
struct Stream {
    user: u8,
    /// Streams that nobody listens to any more have none.
    epoch: Option<u32>,
    sent: u32,
    told: u32,
    /// Pages that each frame under way takes.
    under_way: VecDeque<usize>,
    heard: Instant,
}

/// Streams, and the wire that they go over.
pub struct Streams {
    wire: Wire,
    streams: Vec<Stream>,
    longest: usize,
    random: u64,
    epochs: u32,
    queries: u32,
    frame: Vec<u8>,
}

/// A manifest of `count` users, each of them a checker.
pub fn checkers<'a>(case: &'a Case, count: u32, words: &str) -> Result<Boot<'a>> {
    let mut manifest = mk::users::manifest(count)?;
    for user in &mut manifest.user {
        for word in words.split_ascii_whitespace() {
            match word {
                "sealed" => user.sealed = true,
                strategy => user.strategy = strategy.parse().map_err(anyhow::Error::msg)?,
            }
        }
    }
    let boot = Boot::new(case).manifest(manifest);
    Ok(boot.stand_in("netstack", "checker").net(Net::Wire))
}

/// Boots so, and begins a stream to each of the users from 1 on.
pub fn start(boot: Boot, count: u8, longest: usize) -> Result<(Guest, Streams)> {
    let mut guest = boot.start()?;
    let mut streams = Streams {
        wire: guest.take_wire()?,
        streams: Vec::new(),
        longest,
        random: 1,
        epochs: 0,
        queries: 0,
        frame: vec![0; longest],
    };
    for user in 1..=count {
        streams.begin(user).context("after the boot")?;
    }
    Ok((guest, streams))
}

impl Streams {
    /// A number below `bound`; the same ones in every run.
    pub fn below(&mut self, bound: usize) -> usize {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.random >> 33) as usize % bound
    }

    /// Frames sent to all users.
    pub fn sent(&self) -> u32 {
        self.streams.iter().map(|stream| stream.sent).sum()
    }

    fn stream(&mut self, user: u8) -> Result<&mut Stream> {
        let mut streams = self.streams.iter_mut();
        let found = streams.find(|stream| stream.user == user);
        found.with_context(|| format!("no stream to user {user}"))
    }

    /// Begins a stream to a user, who may just have been spawned: waits until it answers.
    pub fn begin(&mut self, user: u8) -> Result<()> {
        self.end(user);
        self.streams.retain(|stream| stream.user != user);
        self.epochs += 1;
        let epoch = self.epochs;
        self.streams.push(Stream {
            user,
            epoch: None,
            sent: 0,
            told: 0,
            under_way: VecDeque::new(),
            heard: Instant::now(),
        });
        let report = self.ask(kind::HELLO, user, epoch, seconds(30))?;
        ensure!(report.epoch == epoch, "user {user}: {report:?}");
        self.stream(user)?.epoch = Some(epoch);
        Ok(())
    }

    /// Sends nothing more to a user, and expects nothing of it: it is about to be revoked.
    pub fn end(&mut self, user: u8) {
        if let Ok(stream) = self.stream(user) {
            stream.epoch = None;
            stream.under_way.clear();
        }
    }

    /// A length: as often the shortest or the longest as any other.
    fn length(&mut self) -> usize {
        let longest = self.longest;
        match self.below(3) {
            0 => SHORTEST,
            1 => longest,
            _ => SHORTEST + self.below(longest - SHORTEST + 1),
        }
    }

    /// Sends what may be under way, and takes in what came.
    pub fn turn(&mut self) -> Result<()> {
        for n in 0..self.streams.len() {
            let Some(epoch) = self.streams[n].epoch else {
                continue;
            };
            for _ in 0..AT_ONCE {
                let length = self.length();
                let stream = &mut self.streams[n];
                // A frame may begin a little way into its page.
                let pages = (length + 64).div_ceil(4096);
                if stream.under_way.iter().sum::<usize>() + pages > WINDOW {
                    break;
                }
                if stream.under_way.is_empty() {
                    stream.heard = Instant::now();
                }
                let frame = &mut self.frame[..length];
                numbered::write(frame, kind::NUMBERED, stream.user, epoch, stream.sent);
                self.wire.send(frame)?;
                stream.sent += 1;
                stream.under_way.push_back(pages);
            }
        }
        let mut within = milliseconds(1);
        while let Some(frame) = self.wire.receive(within)? {
            self.hear(&frame)?;
            within = Duration::ZERO;
        }
        let silent = |stream: &&Stream| {
            stream.epoch.is_some()
                && !stream.under_way.is_empty()
                && stream.heard.elapsed() > PATIENCE
        };
        if let Some(stream) = self.streams.iter().find(silent) {
            let (user, sent, told) = (stream.user, stream.sent, stream.told);
            let report = self.report(user);
            bail!("user {user} was sent {sent} frames and told of {told}: {report:?}");
        }
        Ok(())
    }

    /// A frame from the guest.
    fn hear(&mut self, frame: &[u8]) -> Result<Option<(u8, u32, Report)>> {
        if frame.get(12..14) != Some(&numbered::TYPE[..]) {
            return Ok(None);
        }
        let head = numbered::read(frame).with_context(|| format!("no answer: {frame:02x?}"))?;
        let user = head.recipient;
        ensure!(
            frame[6..12] == numbered::mac(user) && frame[..6] == numbered::HOST,
            "somebody else's answer: {frame:02x?}"
        );
        if let Some((number, report)) = Report::read(frame) {
            return Ok(Some((user, number, report)));
        }
        let stream = self.stream(user)?;
        if head.kind == kind::ACK && stream.epoch.is_some() {
            ensure!(
                head.number <= stream.sent,
                "user {user} got {} frames of {}",
                head.number,
                stream.sent
            );
            while stream.told < head.number {
                stream.told += 1;
                stream.under_way.pop_front();
                stream.heard = Instant::now();
            }
        }
        Ok(None)
    }

    /// Asks a user, again and again, and returns its report.
    fn ask(&mut self, kind: u8, user: u8, epoch: u32, within: Duration) -> Result<Report> {
        self.queries += 1;
        let query = self.queries;
        let mut frame = [0; SHORTEST];
        numbered::write(&mut frame, kind, user, epoch, query);
        let deadline = Instant::now() + within;
        let mut again = Instant::now();
        while Instant::now() < deadline {
            if Instant::now() >= again {
                // While there is no driver, the card takes nothing.
                let _ = self.wire.send(&frame);
                again = Instant::now() + milliseconds(400);
            }
            if let Some(frame) = self.wire.receive(milliseconds(20))?
                && let Some((from, number, report)) = self.hear(&frame)?
                && (from, number) == (user, query)
            {
                return Ok(report);
            }
        }
        bail!("user {user} does not answer")
    }

    /// Sends a frame that belongs to no stream.
    pub fn send(&self, frame: &[u8]) -> Result<()> {
        self.wire.send(frame)
    }

    /// Has a user storm the driver for so many milliseconds, instead of anything else.
    pub fn storm(&mut self, user: u8, milliseconds: u32) -> Result<()> {
        let mut frame = [0; SHORTEST];
        numbered::write(&mut frame, kind::STORM, user, 0, milliseconds);
        self.send(&frame)
    }

    /// What a user has to tell.
    pub fn report(&mut self, user: u8) -> Result<Report> {
        self.ask(kind::QUERY, user, 0, seconds(10))
    }

    /// Has a user search its receive memory.
    pub fn search(&mut self, user: u8) -> Result<Report> {
        let report = self.ask(kind::SEARCH, user, 0, seconds(20))?;
        ensure!(report.searched > 0, "user {user} has no memory");
        Ok(report)
    }

    /// Goes on for so many frames more.
    pub fn go_on(&mut self, frames: u32) -> Result<()> {
        let until = self.sent() + frames;
        while self.sent() < until {
            self.turn()?;
        }
        Ok(())
    }

    /// Waits until all that was sent has come, and checks that each user got exactly its own frames, in
    /// order, unaltered, none twice.
    pub fn check(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let open = |streams: &[Stream]| {
            let mut open = streams.iter().filter(|stream| stream.epoch.is_some());
            open.any(|stream| stream.told < stream.sent)
        };
        while open(&self.streams) && Instant::now() < deadline {
            if let Some(frame) = self.wire.receive(milliseconds(20))? {
                self.hear(&frame)?;
            }
        }
        for n in 0..self.streams.len() {
            let Stream {
                user, sent, epoch, ..
            } = self.streams[n];
            if epoch.is_none() {
                continue;
            }
            let report = self.report(user)?;
            ensure!(
                report.received == sent && report.next == sent,
                "user {user} got {} of {sent} frames: {report:?}",
                report.received
            );
            let wrong = [
                report.missing,
                report.again,
                report.altered,
                report.foreign,
                report.stale,
            ];
            ensure!(wrong == [0; 5], "user {user}: {report:?}");
        }
        Ok(())
    }
}
