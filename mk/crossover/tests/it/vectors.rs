//! Files of event vectors.

use crossover::selection::Selection;
use crossover::vectors::{Iommu, Kind, Strategy, Vectors};

use crate::expected;

const HEAD: &str = "kind,strategy,bytes,batch,touched,cpus,iommu,frames,traps,look_ups,copies,\
bytes_copied,exchanges,entries_written,page_flushes,full_flushes,switches,shootdowns,zeroed_bytes,\
notifications,pins,unpins,iommu_maps,iommu_unmaps,iommu_invalidations,iommu_waits,instructions";

fn parse(rows: &str) -> Result<Vectors, String> {
    Vectors::parse("counts.csv", &format!("{HEAD}\n{rows}\n")).map_err(|error| error.to_string())
}

fn refused(rows: &str, words: &[&str]) {
    let error = parse(rows).expect_err(rows);
    for word in words.iter().chain(&["counts.csv"]) {
        assert!(error.contains(word), "{error}\nlacks {word}");
    }
}

#[test]
fn vectors_survive_a_round_trip() {
    let vectors = expected::vectors();
    let again = Vectors::parse("again", &vectors.to_csv().unwrap()).unwrap();
    assert_eq!(again.rows(), vectors.rows());
    assert!(vectors.rows().iter().all(|row| row.kind == Kind::Expected));
    assert!(!vectors.counted());
}

#[test]
fn errors_name_line_field_and_what_is_right() {
    let zeros = "0,".repeat(18);
    assert!(parse(&format!("counted,copy,64,1,any,1,off,10,{zeros}500")).is_ok());
    assert!(parse(&format!("counted,copy,64,1,any,1,off,10,{zeros}")).is_ok());
    refused(
        &format!("counted,copy,many,1,any,1,off,10,{zeros}"),
        &["line 2", "bytes", "a whole number"],
    );
    refused(
        &format!("counted,fly,64,1,any,1,off,10,{zeros}"),
        &["line 2", "`in_place`, `exchange`"],
    );
    refused(
        &format!("guessed,copy,64,1,any,1,off,10,{zeros}"),
        &["counted", "expected"],
    );
    refused(
        &format!("counted,copy,64,1,any,1,off,0,{zeros}"),
        &["row 1", "frames", "at least 1"],
    );
    refused("counted,copy,64", &["line"]);
    refused("", &["at least one"]);
    let copied = format!("counted,copy,64,1,any,1,off,10,{zeros}");
    refused(&format!("{copied}\n{copied}"), &["64 bytes", "twice"]);
    refused(
        &format!("{copied}\ncounted,copy,128,1,any,1,off,10,{zeros}9"),
        &["128 bytes", "instructions"],
    );
    let many = format!(
        "counted,copy,64,1,any,1,off,1,{}",
        "99999999999999,".repeat(18)
    );
    refused(&many, &["row 1", "at most"]);
}

#[test]
fn unknown_columns_are_refused() {
    let text = HEAD.replace("traps", "tarps");
    let zeros = "0,".repeat(18);
    let text = format!("{text}\ncounted,copy,64,1,any,1,off,10,{zeros}\n");
    let error = Vectors::parse("counts.csv", &text).unwrap_err().to_string();
    assert!(error.contains("tarps"), "{error}");
}

#[test]
fn what_differs_between_two_counts_is_named() {
    let vectors = expected::vectors();
    assert_eq!(vectors.difference(&vectors), None);
    let mut rows = vectors.rows().to_vec();
    rows[7].traps += 1;
    let other = Vectors::new("other", rows.clone()).unwrap();
    let words = vectors.difference(&other).unwrap();
    assert!(
        words.contains("traps") && words.contains("copy of 4096 bytes"),
        "{words}"
    );
    rows[7].traps -= 1;
    rows[7].instructions = Some(1);
    for row in &mut rows {
        row.instructions = Some(0);
    }
    let other = Vectors::new("other", rows.clone()).unwrap();
    assert!(vectors.difference(&other).unwrap().contains("instructions"));
    let last = rows.pop().unwrap();
    let fewer = Vectors::new("fewer", rows).unwrap();
    let words = other.difference(&fewer).unwrap();
    assert!(words.starts_with(&last.to_string()), "{words}");
    assert!(fewer.difference(&other).unwrap().contains("second time"));
}

#[test]
fn a_selection_keeps_copies_to_compare_with() {
    let vectors = expected::vectors();
    let selection = Selection {
        sizes: vec![4096],
        batches: vec![8],
        modes: vec!["sealed".parse().unwrap(), "off".parse().unwrap()],
    };
    let few = vectors.select(&selection).unwrap();
    assert_eq!(few.batches(), [8]);
    assert_eq!(few.strategies(), [Strategy::Copy, Strategy::Sealed]);
    assert_eq!(few.iommus(), [Iommu::Off]);
    let none = Selection {
        sizes: vec![5],
        ..Selection::default()
    };
    assert!(vectors.select(&none).is_err());
}
