//! What is asked of a site's containers: their logs, and to run a program.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use hostplane_domain::name::SiteName;
use hostplane_domain::program::{LONGEST_RUN, Program};
use hostplane_engine::app::SiteContainer;
use hostplane_infra::containers::{LogAsk, LogTime};

use super::Api;
use super::extract::{InPath, Members, Params};
use super::problem::{Answer, Problem};
use super::wire::{Log, ProgramEnd};

/// Most lines of one answer, and how many there are unless it is said.
pub(crate) const MOST_LINES: u32 = 1000;
pub(crate) const LINES: u32 = 100;

const ARGV: &str = "argv is a list of texts: the program and its arguments, such as [\"php\", \"--version\"]";

pub(super) async fn logs(State(api): State<Api>, InPath(name): InPath<SiteName>, params: Params) -> Answer<Json<Log>> {
    params.only(&["container", "lines", "after"])?;
    let container = params.parsed::<SiteContainer>("container", "php or nginx; without it both are shown")?;
    let lines = params.parsed::<u32>("lines", "a number from 1 to 1000")?.unwrap_or(LINES);
    if !(1..=MOST_LINES).contains(&lines) {
        return Err(Problem::parameter("lines", format!("lines is a number from 1 to {MOST_LINES}")));
    }
    let after = params.parsed::<LogTime>("after", "the time of a line, as an earlier answer gave it")?;
    let containers = container.as_ref().map_or(SiteContainer::ALL, std::slice::from_ref);
    let found = api.app.site_log(&name, containers, LogAsk { newest: lines, after }).await?;
    Ok(Json(found.into()))
}

pub(super) async fn exec(
    State(api): State<Api>,
    InPath(name): InPath<SiteName>,
    params: Params,
    members: Members,
) -> Answer<Json<ProgramEnd>> {
    params.only(&[])?;
    members.only(&["argv", "stdin", "timeout_s"])?;
    let argv: Vec<String> =
        members.parsed("argv", ARGV)?.ok_or_else(|| Problem::field("argv", format!("argv is missing; {ARGV}")))?;
    let longest = LONGEST_RUN.as_secs();
    let seconds = members.number("timeout_s")?.unwrap_or(longest);
    if !(1..=longest).contains(&seconds) {
        return Err(Problem::field("timeout_s", format!("timeout_s is a number of seconds from 1 to {longest}")));
    }
    let program = Program::parse(argv, Duration::from_secs(seconds));
    let program = program.map_err(|error| Problem::field("argv", error.to_string()))?;
    let stdin = members.text("stdin")?.unwrap_or_default().to_owned();
    Ok(Json(api.app.run_in_site(&name, &program, stdin.into()).await?.into()))
}
