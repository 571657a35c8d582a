//! The statements that a test's thread has made.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::panic::Location;

/// A statement, with the file and the line that made it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Made {
    pub file: String,
    pub line: u32,
    pub text: String,
}

thread_local! {
    static MADE: RefCell<Vec<Made>> = const { RefCell::new(Vec::new()) };
}

#[track_caller]
pub fn record(text: &str) {
    let place = Location::caller();
    let file = place.file().rsplit('/').next().unwrap_or_default().to_owned();
    MADE.with_borrow_mut(|made| made.push(Made { file, line: place.line(), text: text.to_owned() }));
}

/// The number of statements so far.
pub fn count() -> usize {
    MADE.with_borrow(Vec::len)
}

/// Each statement once.
pub fn all() -> BTreeSet<Made> {
    MADE.with_borrow(|made| made.iter().cloned().collect())
}
