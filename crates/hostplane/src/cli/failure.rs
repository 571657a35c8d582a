//! Failures of a command, and their exit codes.

use std::process::ExitCode;

use crate::client::contexts::ContextError;
use crate::client::{ClientError, EndpointError};
use crate::serve::ServeError;
use crate::stopped_installation::InstallationError;
use hostplane_infra::error::chain;

const FAILED: u8 = 1;
const USAGE: u8 = 2;
const UNREACHABLE: u8 = 3;

/// Failure of a command.
#[derive(Debug)]
pub(super) enum Failure {
    /// Help or version was asked for; clap treats that as an error.
    Help(clap::Error),
    /// clap refuses the arguments.
    Arguments(clap::Error),
    /// The arguments, the settings or the input are not valid.
    Usage(String),
    /// The operation failed.
    Failed(String),
    /// The operation failed, and its message was printed already.
    Reported,
    /// No control plane answers.
    Unreachable(String),
    /// The reader of the output has gone.
    Unread,
}

impl Failure {
    /// Prints it on standard error.
    pub fn report(&self) -> ExitCode {
        match self {
            Self::Help(error) | Self::Arguments(error) => {
                // A failed print can be reported nowhere.
                let _ = error.print();
            }
            Self::Usage(text) | Self::Failed(text) | Self::Unreachable(text) => eprintln!("hostplane: {text}"),
            Self::Reported | Self::Unread => {}
        }
        ExitCode::from(self.code())
    }

    pub fn code(&self) -> u8 {
        match self {
            Self::Help(_) | Self::Unread => 0,
            Self::Failed(_) | Self::Reported => FAILED,
            Self::Arguments(_) | Self::Usage(_) => USAGE,
            Self::Unreachable(_) => UNREACHABLE,
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let text = super::printable::printable(&error.to_string());
        match error {
            ClientError::Unreachable { .. } => Self::Unreachable(text),
            // The control plane calls the input invalid.
            ClientError::Problem { problem, .. } if matches!(problem.status, 400 | 422) => Self::Usage(text),
            ClientError::Request(_) | ClientError::Trust(_) => Self::Usage(text),
            ClientError::Problem { .. } => Self::Failed(text),
        }
    }
}

impl From<EndpointError> for Failure {
    fn from(error: EndpointError) -> Self {
        let text = chain(&error);
        match error {
            EndpointError::NotRunning(_) => Self::Unreachable(text),
            EndpointError::Context(error) => error.into(),
            EndpointError::BadAddress
            | EndpointError::Clear(_)
            | EndpointError::NoToken(_)
            | EndpointError::BadToken
            | EndpointError::Both
            | EndpointError::BadContext(_) => Self::Usage(text),
            EndpointError::Home(_) => Self::Failed(text),
        }
    }
}

impl From<ContextError> for Failure {
    fn from(error: ContextError) -> Self {
        let text = chain(&error);
        match error {
            ContextError::NoDirectory | ContextError::Unknown { .. } | ContextError::Exists(_) => Self::Usage(text),
            ContextError::Io { .. } | ContextError::File(_) | ContextError::Malformed(_) => Self::Failed(text),
        }
    }
}

impl From<ServeError> for Failure {
    fn from(error: ServeError) -> Self {
        let text = chain(&error);
        match error {
            ServeError::Config(_) | ServeError::World(_) => Self::Usage(text),
            _ => Self::Failed(text),
        }
    }
}

impl From<InstallationError> for Failure {
    fn from(error: InstallationError) -> Self {
        let text = chain(&error);
        match error {
            InstallationError::World(_) => Self::Usage(text),
            _ => Self::Failed(text),
        }
    }
}
