//! What came of a stream.

use guest::numbered::{self, Head, Report, kind};

/// What the host asks for.
pub enum Asked {
    /// Nothing.
    Nothing,
    /// An answer to the query of this number; after a search, or without.
    Report(u32, bool),
    /// A storm of so many milliseconds.
    Storm(u32),
}

/// What came.
pub struct Tally {
    /// Whose it is.
    pub own: u8,
    /// What is told.
    pub report: Report,
    /// Frames since the host was told of any.
    pub untold: u32,
}

impl Tally {
    /// Nothing came yet.
    pub fn new(own: u8) -> Tally {
        Tally {
            own,
            report: Report::default(),
            untold: 0,
        }
    }

    /// A frame came.
    pub fn take(&mut self, frame: &[u8]) -> Asked {
        if frame.get(12..14) != Some(&numbered::TYPE[..]) {
            // Something else on the wire.
            return Asked::Nothing;
        }
        let report = &mut self.report;
        if frame[..6] != numbered::mac(self.own) {
            report.foreign += 1;
            return Asked::Nothing;
        }
        let head = numbered::read(frame)
            .filter(|head| head.recipient == self.own && numbered::is_unaltered(frame, head));
        let Some(head) = head else {
            report.altered += 1;
            return Asked::Nothing;
        };
        match head.kind {
            kind::NUMBERED => self.count(&head),
            kind::HELLO => {
                if report.epoch != head.epoch {
                    *report = Report {
                        epoch: head.epoch,
                        sessions: report.sessions,
                        ..Report::default()
                    };
                    self.untold = 0;
                }
                return Asked::Report(head.number, false);
            }
            kind::STORM => return Asked::Storm(head.number),
            kind::QUERY => return Asked::Report(head.number, false),
            kind::SEARCH => return Asked::Report(head.number, true),
            _ => report.altered += 1,
        }
        Asked::Nothing
    }

    fn count(&mut self, head: &Head) {
        let report = &mut self.report;
        if head.epoch != report.epoch {
            report.stale += 1;
            return;
        }
        if head.number < report.next {
            report.again += 1;
            return;
        }
        report.missing += head.number - report.next;
        report.next = head.number + 1;
        report.received += 1;
        self.untold += 1;
    }
}
