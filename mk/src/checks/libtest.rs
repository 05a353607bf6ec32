//! Reads what libtest (and libtest-mimic) prints.

/// Tests of one cargo call, read line by line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reader {
    /// How many passed.
    pub passed: u32,
    /// Names of those that failed.
    pub failed: Vec<String>,
    /// Names of those that are marked to be ignored.
    pub ignored: Vec<String>,
    /// What stood between `failures:` and the result: what the failed tests said.
    pub said: Vec<String>,
    /// The test binary that is running.
    binary: String,
    /// It has not come to its result yet.
    open: bool,
    /// Inside a list of failures.
    failures: bool,
}

impl Reader {
    /// Reads a line; says whether it was a test's result.
    pub fn line(&mut self, line: &str) -> bool {
        let trimmed = line.trim();
        if let Some(binary) = trimmed
            .strip_prefix("Running ")
            .or_else(|| trimmed.strip_prefix("Doc-tests "))
        {
            self.close();
            self.binary = short(binary);
        } else if is_start(line) {
            // A second one in the same binary would be a test's own output.
            self.open = true;
        } else if line.starts_with("test result: ") {
            self.open = false;
            self.failures = false;
        } else if line == "failures:" {
            self.failures = true;
        } else if self.failures {
            self.said.push(line.to_string());
        } else if let Some((name, word)) = line
            .strip_prefix("test ")
            .and_then(|rest| rest.rsplit_once(" ... "))
        {
            let name = format!("{}: {}", self.binary, name.trim());
            match word.split(',').next().unwrap_or_default().trim() {
                "ok" => self.passed += 1,
                "FAILED" => self.failed.push(name),
                "ignored" => self.ignored.push(name),
                _ => return false,
            }
            return true;
        }
        false
    }

    /// To be called at the end: a binary that never came to its result has crashed.
    pub fn close(&mut self) {
        if std::mem::take(&mut self.open) {
            self.failed
                .push(format!("{}: ended in the middle of its tests", self.binary));
        }
        self.failures = false;
    }
}

fn is_start(line: &str) -> bool {
    line.strip_prefix("running ").is_some_and(|rest| {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        !digits.is_empty() && matches!(&rest[digits.len()..], " test" | " tests")
    })
}

/// `unittests src/lib.rs (target/debug/deps/abi-0123)` is `abi`.
fn short(binary: &str) -> String {
    let file = binary
        .rsplit_once('(')
        .map_or(binary, |(_, path)| path.trim_end_matches(')'));
    let name = file.rsplit('/').next().unwrap_or(file);
    match name.rsplit_once('-') {
        Some((name, hash)) if hash.len() == 16 => name.to_string(),
        _ => name.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Reader {
        let mut reader = Reader::default();
        for line in text.lines() {
            reader.line(line);
        }
        reader.close();
        reader
    }

    #[test]
    fn results_are_counted_and_failures_kept() {
        let reader = read(
            "     Running unittests src/lib.rs (target/debug/deps/abi-0123456789abcdef)

running 3 tests
test a::one ... ok
test a::two ... FAILED
test a::three ... ignored, too slow

failures:

---- a::two stdout ----
test nothing ... ok

failures:
    a::two

test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out

   Doc-tests ring

running 1 test
test user/ring/src/lib.rs - (line 3) ... ok

test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out
",
        );
        assert_eq!(reader.passed, 2);
        assert_eq!(reader.failed, ["abi: a::two"]);
        assert_eq!(reader.ignored, ["abi: a::three"]);
        assert!(
            reader
                .said
                .iter()
                .any(|line| line.contains("a::two stdout"))
        );
    }

    #[test]
    fn a_binary_that_crashes_is_a_failure() {
        let reader = read(
            "     Running unittests src/lib.rs (target/debug/deps/ring-0123456789abcdef)
running 2 tests
test one ... ok
     Running tests/x.rs (target/debug/deps/x-0123456789abcdef)
running 1 test
test two ... ok
test result: ok. 1 passed
",
        );
        assert_eq!(reader.passed, 2);
        assert_eq!(reader.failed, ["ring: ended in the middle of its tests"]);
    }
}
