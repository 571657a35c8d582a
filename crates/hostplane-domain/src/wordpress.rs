//! The part of a desired site that only a WordPress site has.

use std::ops::RangeInclusive;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::details::{AdminEmail, AdminUser, SiteTitle};

/// The part of a desired site that only a WordPress site has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WordpressSpec {
    /// The site's own subnet.
    pub subnet: Ipv4Net,
    /// Title and first administrator.
    #[serde(rename = "wordpress")]
    pub details: WordpressDetails,
    /// The images of its containers.
    pub images: SiteImages,
    /// Settings of its PHP. A site stored before they existed has the defaults.
    #[serde(default)]
    pub php: PhpSettings,
    /// The server that takes its mail. Without one the site sends no mail.
    #[serde(default)]
    pub mail: Option<MailRelay>,
    /// `host:port` of MariaDB as the site's containers see it.
    pub database_host: String,
}

/// Title and first administrator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WordpressDetails {
    /// The site's title.
    pub title: SiteTitle,
    /// Login name of the first administrator.
    pub admin_user: AdminUser,
    /// E-mail address of the first administrator.
    pub admin_email: AdminEmail,
}

/// Image references.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteImages {
    /// PHP-FPM with WordPress's files.
    pub php: String,
    /// nginx.
    pub nginx: String,
}

/// The settings of a site's PHP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PhpSettings {
    /// `memory_limit` of one request, in MiB.
    pub memory_mib: u16,
    /// `max_execution_time` of one request, in seconds of computing; twice as much passes on the clock at most.
    pub max_execution_seconds: u16,
    /// `max_input_vars`: fields of one form.
    pub max_input_vars: u16,
    /// Compiled code that all requests share, in MiB.
    pub opcache_mib: u16,
    /// WordPress has no editor for the code of plugins and themes.
    pub disallow_file_edit: bool,
}

impl PhpSettings {
    /// Bounds of [`PhpSettings::memory_mib`].
    pub const MEMORY_MIB: RangeInclusive<u16> = 64..=8192;
    /// Bounds of [`PhpSettings::max_execution_seconds`].
    pub const EXECUTION_SECONDS: RangeInclusive<u16> = 5..=3600;
    /// Bounds of [`PhpSettings::max_input_vars`].
    pub const INPUT_VARS: RangeInclusive<u16> = 1000..=u16::MAX;
    /// Bounds of [`PhpSettings::opcache_mib`].
    pub const OPCACHE_MIB: RangeInclusive<u16> = 16..=1024;

    /// Memory of a container in which one request may use all that its settings allow, in MiB.
    #[must_use]
    pub fn request_mib(&self) -> u32 {
        u32::from(self.memory_mib) + u32::from(self.opcache_mib) + WORKER_MIB
    }
}

impl Default for PhpSettings {
    fn default() -> Self {
        Self {
            memory_mib: 256,
            max_execution_seconds: 60,
            max_input_vars: 3000,
            opcache_mib: 64,
            disallow_file_edit: true,
        }
    }
}

/// The server that takes the mail of sites. Its password is a secret, and no part of the desired state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailRelay {
    /// Host name or address, as the site's containers see it.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Encryption of the connection.
    pub tls: MailTls,
    /// The user to log in as; without one there is no log-in.
    pub user: Option<String>,
    /// The sender of mail for which the site names none.
    pub from: Option<AdminEmail>,
}

/// Encryption of the connection to a mail server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailTls {
    /// Not at all.
    None,
    /// After a greeting in the clear; without encryption nothing is sent.
    Starttls,
    /// From the first byte.
    Tls,
}

/// Least memory of a PHP worker, in MiB.
pub const WORKER_MIB: u32 = 64;
