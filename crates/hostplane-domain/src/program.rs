//! A program that somebody wants to run inside a site's container.

use std::time::Duration;

/// Most arguments, the program's name among them.
const MOST_ARGUMENTS: usize = 256;
/// Longest that a program may take.
pub const LONGEST_RUN: Duration = Duration::from_secs(50);

/// An argument vector that no shell will ever see, and how long it may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    argv: Vec<String>,
    patience: Duration,
}

/// Why something is no program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProgramError {
    /// There is nothing to run.
    #[error("the first argument is the program to run, such as php")]
    NoProgram,
    /// There are too many arguments.
    #[error("a program takes at most {} arguments", MOST_ARGUMENTS - 1)]
    TooMany,
    /// An argument can't be passed on.
    #[error("an argument can't contain the character NUL")]
    Nul,
}

impl Program {
    /// Checks an argument vector. A program runs for [`LONGEST_RUN`] at most, and for a second at least.
    ///
    /// # Errors
    /// See [`ProgramError`].
    pub fn parse(argv: Vec<String>, patience: Duration) -> Result<Self, ProgramError> {
        if argv.first().is_none_or(String::is_empty) {
            return Err(ProgramError::NoProgram);
        }
        if argv.len() > MOST_ARGUMENTS {
            return Err(ProgramError::TooMany);
        }
        if argv.iter().any(|argument| argument.contains('\0')) {
            return Err(ProgramError::Nul);
        }
        Ok(Self { argv, patience: patience.clamp(Duration::from_secs(1), LONGEST_RUN) })
    }

    /// What is run, with something that ends it when its time is up: it would outlive whoever waits for it.
    #[must_use]
    pub fn watched(&self) -> Vec<String> {
        let seconds = self.patience.as_secs().to_string();
        let watch = ["timeout", "--kill-after", "5", &seconds].map(str::to_owned);
        watch.into_iter().chain(self.argv.iter().cloned()).collect()
    }

    /// Whether a program that ended like this was ended because its time was up: `timeout` gives 124, and 137
    /// where it had to kill, as does one that the kernel killed.
    #[must_use]
    pub fn is_overdue(&self, code: i64, elapsed: Duration) -> bool {
        matches!(code, 124 | 137) && elapsed >= self.patience
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(argv: &[&str], seconds: u64) -> Result<Vec<String>, ProgramError> {
        let argv = argv.iter().map(|&argument| argument.to_owned()).collect();
        Program::parse(argv, Duration::from_secs(seconds)).map(|program| program.watched())
    }

    #[test]
    fn arguments_are_passed_on_as_they_are() {
        let found = parse(&["php", "-r", "echo $x; `id`", ""], 7).unwrap();
        assert_eq!(found, ["timeout", "--kill-after", "5", "7", "php", "-r", "echo $x; `id`", ""]);
        assert_eq!(parse(&["php"], 0).unwrap()[3], "1");
        assert_eq!(parse(&["php"], 51).unwrap()[3], "50");
    }

    #[test]
    fn what_is_no_program_is_refused() {
        assert_eq!(parse(&[], 1), Err(ProgramError::NoProgram));
        assert_eq!(parse(&["", "x"], 1), Err(ProgramError::NoProgram));
        assert_eq!(parse(&["php", "a\0b"], 1), Err(ProgramError::Nul));
        assert!(parse(&["x"; MOST_ARGUMENTS], 1).is_ok());
        assert_eq!(parse(&["x"; MOST_ARGUMENTS + 1], 1), Err(ProgramError::TooMany));
    }

    #[test]
    fn only_one_whose_time_was_up_is_overdue() {
        let program = Program::parse(vec!["php".to_owned()], Duration::from_secs(2)).unwrap();
        let overdue = |code, seconds| program.is_overdue(code, Duration::from_secs(seconds));
        assert!(overdue(124, 2) && overdue(137, 7));
        assert!(!overdue(137, 1), "the kernel may have killed it");
        assert!(!overdue(0, 2) && !overdue(1, 2) && !overdue(125, 2));
    }
}
