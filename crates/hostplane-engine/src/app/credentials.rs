//! The first administrator's credentials.

use hostplane_domain::name::SiteName;
use hostplane_domain::url::SiteUrl;
use secrecy::SecretString;

use super::{App, AppError, AppResult};
use crate::secrets;

/// Address and login of WordPress's first administrator.
#[derive(Debug)]
pub struct Credentials {
    /// The site's address.
    pub url: SiteUrl,
    /// The login name.
    pub user: String,
    /// The password that the site was installed with; a change in WordPress is not known.
    pub password: SecretString,
}

impl App {
    /// The first administrator's credentials, derived anew each time.
    ///
    /// # Errors
    /// [`AppError::NoSite`]; [`AppError::WrongStatus`] while nothing is installed.
    pub async fn credentials(&self, name: &SiteName) -> AppResult<Credentials> {
        let record = self.record(name).await?;
        let Some(spec) = record.spec else {
            let hint = "it has credentials once it is ACTIVE";
            return Err(AppError::WrongStatus { name: name.clone(), status: record.status, hint });
        };
        let Some(wordpress) = spec.kind.wordpress() else {
            let hint = "a site of its kind has no credentials";
            return Err(AppError::WrongStatus { name: name.clone(), status: record.status, hint });
        };
        Ok(Credentials {
            password: secrets::admin_password(&self.secrets.now(), record.site.id, spec.admin_generation),
            user: wordpress.details.admin_user.to_string(),
            url: spec.url,
        })
    }
}
