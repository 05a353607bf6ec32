//! QEMU's command line.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::machine::{Machine, path_text};
use crate::network::Network;
use crate::outcome::EXIT_PORT;

/// Where the guest's console goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Console {
    /// Standard input and output, nothing else.
    #[default]
    Pipe,
    /// Standard input and output, with QEMU's own keys (Ctrl-A x, Ctrl-A c).
    Terminal,
}

/// A boot, described.
#[derive(Clone, Debug)]
pub struct Launch {
    /// QEMU.
    pub qemu: PathBuf,
    /// The checkout's top folder, where `qemu/` is.
    pub root: PathBuf,
    /// What to boot on.
    pub machine: Machine,
    /// Where the network card's cable leads.
    pub network: Network,
    /// Where the console goes.
    pub console: Console,
    /// The kernel.
    pub kernel: PathBuf,
    /// The boot archive.
    pub archive: Option<PathBuf>,
    /// The kernel's command line: words `key=value`.
    pub append: Vec<String>,
    /// File for what the network card sends and receives.
    pub pcap: Option<PathBuf>,
    /// Further arguments.
    pub extra: Vec<String>,
}

impl Launch {
    /// A boot of this kernel with everything else at its default.
    pub fn new(qemu: &Path, root: &Path, kernel: &Path) -> Launch {
        Launch {
            qemu: qemu.into(),
            root: root.into(),
            machine: Machine::default(),
            network: Network::Unplugged,
            console: Console::default(),
            kernel: kernel.into(),
            archive: None,
            append: vec![format!("exit={EXIT_PORT:#x}")],
            pcap: None,
            extra: Vec::new(),
        }
    }

    /// QEMU's arguments, without those by which mk watches it.
    ///
    /// # Errors
    /// The machine can't be, or a path that QEMU can't be given.
    pub fn arguments(&self) -> Result<Vec<String>> {
        let mut arguments = self.machine.arguments(&self.root)?;
        let console = match self.console {
            Console::Pipe => "console-pipe.cfg",
            Console::Terminal => "console-terminal.cfg",
        };
        let console = self.root.join("qemu").join(console);
        arguments.extend(["-readconfig".into(), path_text(&console)?]);
        arguments.extend(self.network.arguments()?);
        if let Some(pcap) = &self.pcap {
            let dump = format!("filter-dump,id=dump0,netdev=net0,file={}", path_text(pcap)?);
            arguments.extend(["-object".into(), dump]);
        }
        arguments.extend(["-kernel".into(), path_text(&self.kernel)?]);
        if let Some(archive) = &self.archive {
            arguments.extend(["-initrd".into(), path_text(archive)?]);
        }
        arguments.extend(["-append".into(), self.append.join(" ")]);
        arguments.extend(self.extra.iter().cloned());
        Ok(arguments)
    }

    /// The command line as it can be pasted into a shell.
    ///
    /// # Errors
    /// As for [`Launch::arguments`].
    pub fn shown(&self) -> Result<String> {
        let arguments = self.arguments()?;
        let mut text = path_text(&self.qemu)?;
        for argument in &arguments {
            // One option a line.
            text.push_str(if argument.starts_with('-') {
                " \\\n    "
            } else {
                " "
            });
            text.push_str(&shell_words::quote(argument));
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_what_runs() {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        let mut launch = Launch::new(Path::new("qemu"), root, Path::new("/x/kernel"));
        launch.append.push("log=info".into());
        launch.pcap = Some("/x/a b.pcap".into());
        let shown = launch.shown().unwrap();
        let words = shell_words::split(&shown).unwrap();
        assert_eq!(words[1..], launch.arguments().unwrap());
        assert!(words.contains(&"exit=0xf4 log=info".to_string()));
    }

    #[test]
    fn a_path_that_qemu_would_misread_is_refused() {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        let launch = Launch::new(Path::new("qemu"), root, Path::new("/x,readonly=on/kernel"));
        assert!(launch.arguments().is_err());
    }
}
