//! What can be typed.

use super::*;

fn refused(words: &[&str]) -> String {
    let words = ["mk"].iter().chain(words);
    let error = Cli::try_parse_from(words).expect_err("must be refused");
    format!("{error}\n{}", what_there_is(&error).unwrap_or_default())
}

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn an_unknown_verb_is_answered_with_the_verbs() {
    let text = refused(&["fly"]);
    for verb in [
        "setup",
        "run",
        "test",
        "faults",
        "bench",
        "crossover",
        "gdb",
        "pcap",
        "doc",
        "clean",
        "help",
    ] {
        assert!(text.contains(&format!("\n  {verb} ")), "{verb} in {text}");
    }
}

#[test]
fn an_unknown_option_is_answered_with_the_verbs_options() {
    let text = refused(&["run", "--colour", "red"]);
    for option in [
        "--users",
        "--net",
        "--smp",
        "--accel",
        "--memory",
        "--pcap",
        "--icount",
        "--mtu",
        "--timeout",
    ] {
        assert!(
            text.contains(&format!("\n  {option}")),
            "{option} in {text}"
        );
    }
    let bench = refused(&["bench", "--colour"]);
    assert!(bench.contains("--tap") && !bench.contains("--in-namespace"));
    assert!(refused(&["clean", "--all"]).contains("clean takes no options"));
}

#[test]
fn a_wrong_value_says_what_is_right() {
    assert!(refused(&["run", "--accel", "warp"]).contains("auto, tcg or kvm"));
    assert!(refused(&["run", "--net", "bridge"]).contains("tap=INTERFACE"));
    assert!(refused(&["run", "--memory", "1T"]).contains("128M"));
    assert!(refused(&["run", "--mtu", "9001"]).contains("68 to 9000"));
    assert!(refused(&["test", "--only", "luck"]).contains("loom"));
    assert!(refused(&["run", "--users", "x"]).contains("such as 2"));
    for verb in ["run", "pcap", "gdb", "test", "bench"] {
        assert!(refused(&[verb, "--timeout", "x"]).contains("such as 60"));
        assert!(
            refused(&[verb, "--timeout", "0"]).contains("1 to"),
            "{verb}"
        );
    }
    let crossover = |words: &[&str]| refused(&[&["crossover"], words].concat());
    assert!(crossover(&["--sizes", "64,0"]).contains("60 to 65536"));
    assert!(crossover(&["--batches", "65"]).contains("1 to 64"));
    assert!(crossover(&["--modes", "flip"]).contains("in_place"));
    let level = refused(&["faults", "--level", "moon"]);
    assert!(
        level.contains("the levels there are: sim, qemu, fuzz"),
        "{level}"
    );
}
