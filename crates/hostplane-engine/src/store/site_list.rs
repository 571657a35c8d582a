//! Lists of sites, with the jobs that hold them.

use hostplane_domain::ids::{JobId, SiteId};
use hostplane_domain::name::SiteNamePrefix;
use hostplane_domain::status::SiteStatus;

use super::dialect::Row;
use super::listed::Filling;
use super::row::optional;
use super::sites::{COLUMNS, SiteRecord, read};
use super::sql::Conditions;
use super::{HOLDS_SITE, Listed, Store, StoreError, Stored, sql};

/// A site with the job that holds it.
#[derive(Debug, Clone)]
pub struct SiteWithJob {
    /// The site.
    pub site: SiteRecord,
    /// The job, if one holds it.
    pub active_job: Option<JobId>,
}

/// Conditions on sites to be listed.
#[derive(Debug, Clone, Default)]
pub struct SiteFilter {
    /// Only those of this status. Without it, DESTROYED sites are left out.
    pub status: Option<SiteStatus>,
    /// Only those whose name begins like this.
    pub prefix: Option<SiteNamePrefix>,
    /// Only those that come after this one. A name alone would not do: DESTROYED sites share theirs.
    pub after: Option<SiteId>,
    /// At most this many.
    pub limit: u32,
}

/// The first text after all that begin with the prefix, which is ASCII: its last character is followed by the next.
fn end_of(prefix: &SiteNamePrefix) -> String {
    let mut end = prefix.as_str().to_owned();
    let last = end.pop().unwrap_or_default();
    end.push(char::from_u32(u32::from(last) + 1).unwrap_or(char::MAX));
    end
}

/// The statement for a page, but for its `LIMIT`; `after` is the name and the id of the site before it.
fn page(filter: &SiteFilter, after: Option<(String, String)>) -> (String, Conditions) {
    let mut conditions = match filter.status {
        Some(status) => Conditions::default().and_value("sites.status =", status.as_str()),
        None => Conditions::default().and("sites.status <> 'DESTROYED'"),
    };
    if let Some(prefix) = &filter.prefix {
        conditions = conditions.and_value("sites.name >=", prefix.as_str()).and_value("sites.name <", end_of(prefix));
    }
    if let Some((name, id)) = after {
        conditions = conditions.and_pair("(sites.name, sites.id) >", [name, id]);
    }
    let statement = format!(
        "SELECT {COLUMNS}, jobs.id AS active_job FROM sites
         LEFT JOIN jobs ON jobs.site_id = sites.id AND jobs.{HOLDS_SITE} {}
         ORDER BY sites.name, sites.id LIMIT {}",
        conditions.text(),
        conditions.next_parameter()
    );
    (statement, conditions)
}

fn with_job(row: &Row) -> Stored<SiteWithJob> {
    Ok(SiteWithJob { site: read(row)?, active_job: optional(row, "jobs.active_job")? })
}

impl Store {
    /// Sites in the order of their names.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when there is no site that the page is to follow.
    pub async fn sites(&self, filter: &SiteFilter) -> Stored<Listed<SiteWithJob>> {
        let mut connection = self.reading().await?;
        let after = match filter.after {
            None => None,
            Some(after) => {
                let name: Option<String> = sql::scalar("SELECT name FROM sites WHERE id = $1")
                    .bind(after.to_string())
                    .fetch_optional(&mut *connection)
                    .await?;
                Some((name.ok_or(StoreError::Missing("site"))?, after.to_string()))
            }
        };
        let (statement, conditions) = page(filter, after);
        let mut filling = Filling::new(filter.limit);
        loop {
            let query = conditions.bind(sql::query(statement.clone())).bind(filling.limit());
            let sites = Listed::read("sites", &query.fetch_all(&mut *connection).await?, with_job)?;
            if let Some(sites) = filling.done(sites) {
                return Ok(sites);
            }
        }
    }
}
