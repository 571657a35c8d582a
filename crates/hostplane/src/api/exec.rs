//! `/sites/{site}/exec`: runs a program in a site's PHP container.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use hostplane_domain::name::SiteName;
use hostplane_domain::program::{LONGEST_RUN, Program};

use super::extract::{InPath, Members, Params};
use super::problem::{ApiResult, Problem};
use super::state::Api;
use super::wire::ProgramResult;

const ARGV: &str = "argv is a list of texts: the program and its arguments, such as [\"php\", \"--version\"]";

pub(super) async fn run(
    State(api): State<Api>,
    InPath(name): InPath<SiteName>,
    params: Params,
    members: Members,
) -> ApiResult<Json<ProgramResult>> {
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
