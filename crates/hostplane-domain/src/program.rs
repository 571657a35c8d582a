//! Program that an operator runs in a site's container.

use std::time::Duration;

/// Most arguments, the program's name among them.
const MOST_ARGUMENTS: usize = 256;
/// Longest that a program may take.
pub const LONGEST_RUN: Duration = Duration::from_secs(50);

/// Argument vector, run without a shell, and its time limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    argv: Vec<String>,
    time_limit: Duration,
}

/// Reason to refuse a program.
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
    /// Checks an argument vector and clamps the time limit to between one second and [`LONGEST_RUN`].
    ///
    /// # Errors
    /// [`ProgramError`] says which rule the vector breaks.
    pub fn parse(argv: Vec<String>, time_limit: Duration) -> Result<Self, ProgramError> {
        if argv.first().is_none_or(String::is_empty) {
            return Err(ProgramError::NoProgram);
        }
        if argv.len() > MOST_ARGUMENTS {
            return Err(ProgramError::TooMany);
        }
        if argv.iter().any(|argument| argument.contains('\0')) {
            return Err(ProgramError::Nul);
        }
        Ok(Self { argv, time_limit: time_limit.clamp(Duration::from_secs(1), LONGEST_RUN) })
    }

    /// The argument vector under `timeout`, which ends the program at its limit. Without `timeout`, the program would
    /// outlive its caller.
    #[must_use]
    pub fn argv_with_timeout(&self) -> Vec<String> {
        let seconds = self.time_limit.as_secs().to_string();
        let timeout = ["timeout", "--kill-after", "5", &seconds].map(str::to_owned);
        timeout.into_iter().chain(self.argv.iter().cloned()).collect()
    }

    /// True if `timeout` ended the program. `timeout` exits with 124, or with 137 after a kill; the kernel's own kill
    /// also gives 137, so the elapsed time decides.
    #[must_use]
    pub fn is_overdue(&self, code: i64, elapsed: Duration) -> bool {
        matches!(code, 124 | 137) && elapsed >= self.time_limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(argv: &[&str], seconds: u64) -> Result<Vec<String>, ProgramError> {
        let argv = argv.iter().map(|&argument| argument.to_owned()).collect();
        Program::parse(argv, Duration::from_secs(seconds)).map(|program| program.argv_with_timeout())
    }

    #[test]
    fn arguments_are_passed_on_as_they_are() {
        let found = parse(&["php", "-r", "echo $x; `id`", ""], 7).unwrap();
        assert_eq!(found, ["timeout", "--kill-after", "5", "7", "php", "-r", "echo $x; `id`", ""]);
        assert_eq!(parse(&["php"], 0).unwrap()[3], "1");
        assert_eq!(parse(&["php"], 51).unwrap()[3], "50");
    }

    #[test]
    fn bad_argument_vectors_are_refused() {
        assert_eq!(parse(&[], 1), Err(ProgramError::NoProgram));
        assert_eq!(parse(&["", "x"], 1), Err(ProgramError::NoProgram));
        assert_eq!(parse(&["php", "a\0b"], 1), Err(ProgramError::Nul));
        assert!(parse(&["x"; MOST_ARGUMENTS], 1).is_ok());
        assert_eq!(parse(&["x"; MOST_ARGUMENTS + 1], 1), Err(ProgramError::TooMany));
    }

    #[test]
    fn only_a_program_past_its_limit_is_overdue() {
        let program = Program::parse(vec!["php".to_owned()], Duration::from_secs(2)).unwrap();
        let overdue = |code, seconds| program.is_overdue(code, Duration::from_secs(seconds));
        assert!(overdue(124, 2) && overdue(137, 7));
        assert!(!overdue(137, 1), "the kernel may have killed it");
        assert!(!overdue(0, 2) && !overdue(1, 2) && !overdue(125, 2));
    }
}
