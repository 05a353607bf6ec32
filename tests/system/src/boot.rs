//! Describes a boot and starts it.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, anyhow, bail};
use manifest::Manifest;
use mk::archive::Archive;
use mk::checkout::Checkout;
use mk::forwards::Forwards;
use mk::launch::Launch;
use mk::machine::Machine;
use mk::network::Network;
use mk::symbols::Symbols;
use mk::verbs::Prepared;

use crate::case::Case;
use crate::environment;
use crate::guest::Guest;
use crate::payload::Payload;
use crate::wire::Wire;

/// Where the guest's network card leads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Net {
    /// Nowhere.
    #[default]
    Unplugged,
    /// To a [`Wire`] in the case's hands.
    Wire,
    /// To QEMU's own network, with forwarded ports as for `cargo mk run`, moved to free ones
    /// ([`Guest::port`]).
    User,
    /// To arguments of the case's own, one of which makes the netdev `net0`; a wire that it may
    /// name is at the sockets `to-guest` and `to-host` in the given folder.
    Custom(PathBuf, Vec<String>),
}

/// A boot, described.
#[derive(Debug)]
pub struct Boot<'a> {
    case: &'a Case,
    payload: Option<Payload>,
    manifest: Option<Manifest>,
    manifest_text: Option<String>,
    init: Option<String>,
    programs: Vec<String>,
    /// A program of the system's, and the guest program in its place.
    stand_ins: Vec<(String, String)>,
    files: Vec<(String, Vec<u8>)>,
    without: Vec<String>,
    append: Vec<String>,
    extra: Vec<String>,
    net: Net,
    machine: Result<Machine, String>,
}

impl<'a> Boot<'a> {
    /// A boot of the system with alice and bob, cable unplugged.
    pub fn new(case: &'a Case) -> Boot<'a> {
        Boot {
            case,
            payload: None,
            manifest: None,
            manifest_text: None,
            init: None,
            programs: Vec::new(),
            stand_ins: Vec::new(),
            files: Vec::new(),
            without: Vec::new(),
            append: Vec::new(),
            extra: Vec::new(),
            net: Net::default(),
            machine: environment::machine().map_err(|error| format!("{error:#}")),
        }
    }

    /// Boots this instead of the kernel.
    pub fn payload(mut self, payload: Payload) -> Self {
        self.payload = Some(payload);
        self
    }

    /// The manifest.
    pub fn manifest(mut self, manifest: Manifest) -> Self {
        self.manifest = Some(manifest);
        self
    }

    /// A manifest's text as it stands: it need not be a good one.
    pub fn manifest_text(mut self, text: &str) -> Self {
        self.manifest_text = Some(text.into());
        self
    }

    /// The manifest that `--users N` makes.
    pub fn users(self, count: u32) -> Result<Self> {
        Ok(self.manifest(mk::users::manifest(count)?))
    }

    /// Adds a guest program of `tests/guest` to the archive.
    pub fn program(mut self, name: &str) -> Self {
        self.programs.push(name.into());
        self
    }

    /// Puts a guest program of `tests/guest` where one of the system's is.
    pub fn stand_in(mut self, for_program: &str, name: &str) -> Self {
        self.stand_ins.push((for_program.into(), name.into()));
        self
    }

    /// Has a guest program of `tests/guest` started in init's place.
    pub fn init(mut self, name: &str) -> Self {
        self.init = Some(name.into());
        let word = format!("init={name}");
        self.program(name).append(&word)
    }

    /// Adds a file to the archive, or puts another in its place.
    pub fn file(mut self, path: &str, contents: impl Into<Vec<u8>>) -> Self {
        self.files.push((path.into(), contents.into()));
        self
    }

    /// Leaves a file out of the archive.
    pub fn without(mut self, path: &str) -> Self {
        self.without.push(path.into());
        self
    }

    /// Adds a word `key=value` to the kernel's command line.
    pub fn append(mut self, word: &str) -> Self {
        self.append.push(word.into());
        self
    }

    /// Adds an argument for QEMU.
    pub fn qemu(mut self, argument: &str) -> Self {
        self.extra.push(argument.into());
        self
    }

    /// Where the network card leads.
    pub fn net(mut self, net: Net) -> Self {
        self.net = net;
        self
    }

    /// Changes the machine.
    pub fn machine(mut self, change: impl FnOnce(&mut Machine)) -> Self {
        if let Ok(machine) = &mut self.machine {
            change(machine);
        }
        self
    }

    /// Starts it.
    ///
    /// # Errors
    /// Something can't be built or run.
    pub fn start(self) -> Result<Guest> {
        let folder = self.case.folder("guest")?;
        let manifest = match &self.manifest {
            Some(manifest) => manifest.clone(),
            None => mk::users::manifest(2)?,
        };
        let mut wire = None;
        let mut forwards = Forwards::default();
        let network = match &self.net {
            Net::Unplugged => Network::Unplugged,
            Net::Wire => {
                wire = Some(Wire::open(&folder)?);
                Network::wire(&folder)
            }
            Net::User => {
                forwards = free_forwards(&manifest)?;
                Network::User(forwards.clone())
            }
            Net::Custom(folder, arguments) => {
                wire = Some(Wire::open(folder)?);
                Network::Custom(arguments.clone())
            }
        };
        let mut launch = match self.payload {
            Some(payload) => {
                let checkout = Checkout::open()?;
                let qemu = mk::setup::qemu()?;
                Launch::new(&qemu, checkout.root(), &payload.build(&folder)?)
            }
            None => prepared()?.launch()?,
        };
        let archive = folder.join("boot.tar");
        self.archive(&manifest)?.save(&archive)?;
        launch.archive = Some(archive);
        launch.machine = self.machine.clone().map_err(|error| anyhow!(error))?;
        launch.network = network;
        launch.append.extend(self.append.iter().cloned());
        if self.net == Net::User {
            launch.append.push(forwards.word());
        }
        launch.extra = self.extra.clone();
        if environment::verbose() {
            eprintln!("{}: {}", self.case.name(), launch.shown()?);
        }
        Guest::start(self.case, &launch, self.init, wire, forwards)
    }

    fn archive(&self, manifest: &Manifest) -> Result<Archive> {
        let mut archive = match self.payload {
            Some(_) => {
                let mut archive = Archive::new();
                archive.add(manifest::PATH, manifest.render()?);
                archive
            }
            None => prepared()?.archive(manifest)?,
        };
        if let Some(text) = &self.manifest_text {
            archive.add(manifest::PATH, text.as_str());
        }
        for name in &self.programs {
            let program = prepared()?.artifacts.program(name)?;
            archive.add_program(name, &program.stripped)?;
        }
        for (instead_of, name) in &self.stand_ins {
            let program = prepared()?.artifacts.program(name)?;
            archive.add_program(instead_of, &program.stripped)?;
        }
        for (path, contents) in &self.files {
            archive.add(path.as_str(), contents.clone());
        }
        for path in &self.without {
            if !archive.remove(path) {
                bail!("there is no {path} in the archive to leave out");
            }
        }
        Ok(archive)
    }
}

static PREPARED: OnceLock<Result<Prepared, String>> = OnceLock::new();

/// Kernel and programs: built once for all cases.
pub(crate) fn prepared() -> Result<&'static Prepared> {
    PREPARED
        .get_or_init(|| Prepared::new().map_err(|error| format!("{error:#}")))
        .as_ref()
        .map_err(|error| anyhow!("{error}"))
}

/// The symbols, if the programs were built: a case that boots payloads only needs none.
pub(crate) fn symbols() -> Option<Symbols> {
    PREPARED.get()?.as_ref().ok().map(Prepared::symbols)
}

/// Forwarded ports that are free now, and that no other case of this process was given.
fn free_forwards(manifest: &Manifest) -> Result<Forwards> {
    /// Ports of one case: as many as there may be users.
    const STEP: u32 = 200;
    /// More would reach into the ports that the host gives to whoever connects.
    const CASES: u32 = 60;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    for _ in 0..CASES {
        // Another process that does the same starts elsewhere.
        let number = std::process::id() + NEXT.fetch_add(1, Ordering::Relaxed);
        let forwards = Forwards::of(manifest, 1000 + number % CASES * STEP)?;
        if forwards.check_free().is_ok() {
            return Ok(forwards);
        }
    }
    Err(anyhow!("no ports are free")).context("user networking")
}
