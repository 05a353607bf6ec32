//! The words of the command line that are the kernel's.

use kernel::options::Options;

#[test]
fn words_are_found_among_others() {
    let line = b"users=off exit=0xf4\tlog=debug init=sweep planted=keep-all log=error";
    let options = Options::parse(line);
    assert_eq!(options.exit_port, 0xf4);
    assert_eq!(options.log_level, 4);
    assert_eq!(options.init, "sweep");
    assert_eq!(options.planted, Some("keep-all"));
    assert_eq!(Options::parse(b"exit=244").exit_port, 0xf4);
}

#[test]
fn what_means_nothing_is_as_if_it_werent_there() {
    let nothing = Options::parse(b"");
    assert_eq!((nothing.exit_port, nothing.log_level), (0, 3));
    assert_eq!((nothing.init, nothing.planted), ("init", None));
    for line in [
        "exit=65536 log=loud",
        "exit=0xg log=",
        "exit log",
        "=0xf4 xlog=trace",
    ] {
        assert_eq!(Options::parse(line.as_bytes()), nothing, "{line}");
    }
}

#[test]
fn a_word_that_is_no_text_costs_no_other_word() {
    let options = Options::parse(b"name=\xff\xfe exit=0xf4 init=\xc3");
    assert_eq!((options.exit_port, options.init), (0xf4, "init"));
}
