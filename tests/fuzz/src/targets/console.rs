//! What is typed at the console: keys, lines, commands, beginnings of words.

use init::console::command::Command;
use init::console::complete::{Names, complete};
use init::console::edit::Editor;
use init::console::key::Decoder;

use crate::Target;

/// The target.
pub const TARGET: Target = Target {
    name: "console",
    about: "what is typed at the console",
    run,
    seeds,
};

fn run(bytes: &[u8]) {
    let (mut keys, mut editor, mut screen) = (Decoder::new(), Editor::new("> "), Vec::new());
    for byte in bytes {
        if let Some(key) = keys.push(*byte) {
            let _ = editor.key(key, &mut screen);
        }
        assert!(editor.text().is_char_boundary(editor.cursor()));
        screen.clear();
    }
    let text = String::from_utf8_lossy(bytes);
    for line in text.lines() {
        let _ = Command::parse(line);
        let _ = complete(line, &Names::default());
    }
}

fn seeds() -> Vec<Vec<u8>> {
    [
        &b"help\rps\rbanks\r"[..],
        b"destroy alice\rspawn dave ipv4=10.0.2.9/24\r",
        b"receive alice hybrid 600 sealed\rfree\rlog debug\r",
        b"\x1b[A\x1b[B\x1b[C\x1b[D\x1b[3~\x01\x05\x0b\x15\x17\x7f\t\t",
        "net \u{e9}\u{1f600}\x08\x1b[D\u{304b}\r".as_bytes(),
    ]
    .map(Vec::from)
    .into()
}
