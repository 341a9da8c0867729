//! What must hold, counted.

use anyhow::Result;

/// How many checks passed and failed so far.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    passed: u32,
    failed: u32,
}

impl Checks {
    /// Notes whether something holds, and says so.
    pub(crate) fn expect(&mut self, holds: bool, claim: &str) {
        if holds {
            self.passed += 1;
            println!("      ok    {claim}");
        } else {
            self.failed += 1;
            println!("      FAIL  {claim}");
        }
    }

    /// Notes whether a check ran without an error, and says so, with the error.
    pub(crate) fn expect_ok<T>(&mut self, outcome: Result<T>, claim: &str) {
        match outcome {
            Ok(_) => self.expect(true, claim),
            Err(error) => self.expect(false, &format!("{claim}: {error:#}")),
        }
    }

    /// Returns how many held.
    pub(crate) fn passed(&self) -> u32 {
        self.passed
    }

    /// Returns how many did not.
    pub(crate) fn failed(&self) -> u32 {
        self.failed
    }
}

/// Says what was done: what, how much, and how long it took.
pub(crate) fn line(what: &str, figures: &str) {
    println!("  {what:<16}{figures}");
}
