//! The JSON of the API. The command line reads and prints the same types.

mod doctor;
mod drift;
mod job;
mod log;
mod orphan;
mod page;
mod program;
mod secret;
mod site;
mod time;
mod token;

pub(crate) use doctor::{DoctorReport, Finding};
pub(crate) use drift::{Drift, Drifts, ReconcileResult};
pub(crate) use job::{Job, Step};
pub(crate) use log::{Line, Log};
pub(crate) use orphan::{Orphan, Orphans};
pub(crate) use page::{Page, UnreadableRow};
pub(crate) use program::{ProgramResult, RunProgram};
pub(crate) use secret::Secret;
pub(crate) use site::{ContainerLimits, CreateSite, Credentials, Limits, Php, Resource, Site, UpdateSite, Usage};
pub(crate) use token::{CreateToken, CreatedToken, Token};
