//! `/sites`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use hostplane_domain::details::{AdminEmail, AdminUser, DetailError, SiteTitle};
use hostplane_domain::ids::SiteId;
use hostplane_domain::name::SiteName;
use hostplane_domain::site_kind::SiteDetails;
use hostplane_domain::wordpress::WordpressDetails;
use hostplane_engine::app::JobView;
use hostplane_engine::store::{NewSite, SiteFilter};

use super::extract::{InPath, Members, Params};
use super::page::{limit, page};
use super::problem::{ApiResult, Problem, ProblemKind};
use super::state::Api;
use super::wire::{Credentials, Job, Page, Site};

/// Answers `202` with the job and its location.
pub(super) fn accepted(job: JobView) -> Response {
    let location = format!("/api/v1/jobs/{}", job.record.id);
    (StatusCode::ACCEPTED, [(LOCATION, location)], Json(Job::from(job))).into_response()
}

pub(super) async fn create(State(api): State<Api>, params: Params, members: Members) -> ApiResult<Response> {
    params.only(&[])?;
    let new = new_site(&api, &members)?;
    let (_, job) = api.app.create_site(&new).await?;
    Ok(accepted(job))
}

fn new_site(api: &Api, members: &Members) -> ApiResult<NewSite> {
    members.only(&["name", "kind", "title", "admin_user", "admin_email"])?;
    let name = members.required_text("name")?;
    let name = SiteName::parse(name).map_err(|error| Problem::field("name", error.to_string()))?;
    match members.required_text("kind")? {
        "wordpress" => {}
        "static" => {
            let detail = "sites of kind static are not available yet in this version; create one of kind wordpress";
            return Err(Problem::new(ProblemKind::KindNotAvailable, detail).at("kind"));
        }
        _ => return Err(Problem::field("kind", "kind is wordpress")),
    }
    let refuse = |field: &'static str| move |error: DetailError| Problem::field(field, error.to_string());
    let title = members.text("title")?.unwrap_or(name.as_str());
    let admin_user = members.text("admin_user")?.unwrap_or("admin");
    let email_of_site = format!("admin@{}", api.base_domain.host_of(&name));
    let admin_email = members.text("admin_email")?.unwrap_or(&email_of_site);
    let details = WordpressDetails {
        title: SiteTitle::parse(title).map_err(refuse("title"))?,
        admin_user: AdminUser::parse(admin_user).map_err(refuse("admin_user"))?,
        admin_email: AdminEmail::parse(admin_email).map_err(refuse("admin_email"))?,
    };
    Ok(NewSite { name, details: SiteDetails::Wordpress(details) })
}

pub(super) async fn list(State(api): State<Api>, params: Params) -> ApiResult<Json<Page<Site>>> {
    params.only(&["status", "prefix", "cursor", "limit"])?;
    let status = params.parsed("status", "one of CREATED, PROVISIONING, ACTIVE, FAILED, DESTROYING, DESTROYED")?;
    let prefix = params.parsed("prefix", "the beginning of a site's name")?;
    let after = params.parsed::<SiteId>("cursor", "the next_cursor of an earlier page")?;
    let limit = limit(&params)?;
    let filter = SiteFilter { status, prefix, after, limit: limit + 1 };
    let found = api.app.sites(&filter).await?;
    Ok(Json(page(found, limit, |view| view.record.site.id.to_string())))
}

pub(super) async fn show(
    State(api): State<Api>,
    InPath(name): InPath<SiteName>,
    params: Params,
) -> ApiResult<Json<Site>> {
    params.only(&[])?;
    Ok(Json(api.app.site(&name).await?.into()))
}

pub(super) async fn credentials(
    State(api): State<Api>,
    InPath(name): InPath<SiteName>,
    params: Params,
) -> ApiResult<Json<Credentials>> {
    params.only(&[])?;
    Ok(Json(api.app.credentials(&name).await?.into()))
}

pub(super) async fn destroy(
    State(api): State<Api>,
    InPath(name): InPath<SiteName>,
    params: Params,
) -> ApiResult<Response> {
    params.only(&["confirm"])?;
    if params.get("confirm") != Some(name.as_str()) {
        let detail = format!(
            "this removes the site with its files and its database; to confirm it, send DELETE \
             /api/v1/sites/{name}?confirm={name}"
        );
        return Err(Problem::new(ProblemKind::ConfirmationRequired, detail));
    }
    Ok(accepted(api.app.destroy_site(&name).await?))
}
