//! Frames of a real conversation, as QEMU recorded them: a stack's start, and a peer that asks it for pages.

use pcap_file::pcap::PcapReader;

/// What `cargo mk run --pcap` wrote while curl asked alice for her pages, over QEMU's user network.
const CAPTURE: &[u8] = include_bytes!("captured.pcap");

/// All frames of it, in order, those that the stack sent among them.
pub fn frames() -> Vec<Vec<u8>> {
    let mut reader = PcapReader::new(CAPTURE).expect("a capture");
    let mut frames = Vec::new();
    while let Some(packet) = reader.next_packet() {
        frames.push(packet.expect("a whole packet").data.into_owned());
    }
    frames
}
