//! Caddy's main configuration and the snippet of each site.

use super::caddy_restricted;
use crate::desired::DesiredSite;
use crate::ids::SiteId;
use crate::mark::Mark;
use crate::naming;

/// Header in which Caddy names the site of a request. Docker reuses a container's address at once, so a request could
/// reach another site's nginx, which refuses it by this header.
pub const SITE_HEADER: &str = "X-Hostplane-Site";

/// Bounds on what visitors may keep open: a header has 10 s and 64 KB, a connection without a request two minutes. A body
/// may take as long as it likes; each site's nginx ends one that stands still.
const SERVERS: &str = "\tservers {\n\t\ttimeouts {\n\t\t\tread_header 10s\n\t\t\tidle 2m\n\t\t}\n\
    \t\tmax_header_size 64KB\n\t}\n";

/// Renders the main configuration. `sites_dir` is the directory of the imported snippets, relative to the
/// configuration's own.
///
/// An unknown host name gets 404; Caddy's own answer would be an empty 200.
#[must_use]
pub fn main_config(sites_dir: &str) -> String {
    format!(
        "{{\n\tadmin localhost:2019\n\tauto_https off\n{SERVERS}}}\n\n\
         http:// {{\n\trespond \"No site is served under this name.\" 404\n}}\n\n\
         import {sites_dir}/*.caddy\n"
    )
}

/// Page that visitors of a suspended site get, with status 503. It has no braces and no backquotes, which mean
/// something in a Caddyfile.
pub const MAINTENANCE_PAGE: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
    <title>Under maintenance</title></head><body><h1>This site is under maintenance.</h1>\
    <p>Please come back later.</p></body></html>";

/// Time for which Caddy retries a site whose nginx refuses connections: a container's restart takes about as long.
const RETRY_FOR: &str = "lb_try_duration 2s";
const RETRY_EVERY: &str = "lb_try_interval 100ms";
/// Short, as a packet to a container that has its name but not yet its address is lost, and the kernel sends the next
/// only after a second.
const DIAL_TIMEOUT: &str = "dial_timeout 200ms";

/// Renders a site's route, without the mark.
#[must_use]
pub fn route(want: &DesiredSite) -> String {
    let host = &want.url.host;
    if want.suspended {
        return format!(
            "http://{host} {{\n\theader Content-Type \"text/html; charset=utf-8\"\n\theader Retry-After 3600\n\
             \trespond `{MAINTENANCE_PAGE}` 503\n}}\n"
        );
    }
    let upstream = format!("{}:80", naming::nginx_container(&want.site.name));
    if want.restricted {
        let rest = proxy_to(&upstream, want.site.id);
        return format!("http://{host} {{\n{}}}\n", caddy_restricted::around(&rest));
    }
    route_to(&upstream, host, want.site.id)
}

/// Renders a route from a host name to `upstream` (`host:port`).
#[must_use]
pub fn route_to(upstream: &str, host: &str, site: SiteId) -> String {
    format!("http://{host} {{\n{}}}\n", proxy_to(upstream, site))
}

fn proxy_to(upstream: &str, site: SiteId) -> String {
    format!(
        "\treverse_proxy {upstream} {{\n\t\theader_up {SITE_HEADER} {site}\n\
         \t\t{RETRY_FOR}\n\t\t{RETRY_EVERY}\n\t\ttransport http {{\n\t\t\t{DIAL_TIMEOUT}\n\t\t}}\n\t}}\n"
    )
}

/// Renders a site's snippet: the mark, then the route.
#[must_use]
pub fn snippet(want: &DesiredSite, mark: &Mark) -> String {
    format!("{}\n{}", mark.to_comment(), route(want))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::tests::hello;

    #[test]
    fn a_route_names_host_upstream_and_site() {
        assert_eq!(
            route(&hello()),
            "http://hello.localhost {\n\
             \treverse_proxy nginx_hello:80 {\n\
             \t\theader_up X-Hostplane-Site 00000000-0000-0000-0000-000000000001\n\
             \t\tlb_try_duration 2s\n\
             \t\tlb_try_interval 100ms\n\
             \t\ttransport http {\n\
             \t\t\tdial_timeout 200ms\n\
             \t\t}\n\
             \t}\n\
             }\n"
        );
    }

    #[test]
    fn a_suspended_site_serves_the_maintenance_page() {
        assert_eq!(
            route(&DesiredSite { suspended: true, ..hello() }),
            format!(
                "http://hello.localhost {{\n\
                 \theader Content-Type \"text/html; charset=utf-8\"\n\
                 \theader Retry-After 3600\n\
                 \trespond `{MAINTENANCE_PAGE}` 503\n\
                 }}\n"
            )
        );
        assert!(!MAINTENANCE_PAGE.contains(['{', '}', '`', '\n']));
    }

    #[test]
    fn a_restricted_site_refuses_uploads_before_all_else() {
        let restricted = route(&DesiredSite { restricted: true, ..hello() });
        let (refusals, rest) = restricted.split_once("\thandle {\n").expect("the rest is handled");
        assert!(refusals.starts_with("http://hello.localhost {\n\t@media {") && refusals.contains("507"), "{refusals}");
        assert_eq!(format!("http://hello.localhost {{\n{rest}"), route(&hello()).replace("\n}\n", "\n\t}\n}\n"));
        let both = DesiredSite { restricted: true, suspended: true, ..hello() };
        assert_eq!(route(&both), route(&DesiredSite { suspended: true, ..hello() }));
    }

    #[test]
    fn a_snippet_is_the_mark_and_the_route() {
        let want = hello();
        let mark = Mark {
            instance: crate::ids::InstanceId::new(uuid::Uuid::from_u128(1)),
            site: want.site.clone(),
            kind: crate::naming::ResourceKind::Route,
            job: crate::ids::JobId::new(uuid::Uuid::from_u128(3)),
            spec: crate::spec_hash::SpecHash::of(&"x"),
        };
        let snippet = snippet(&want, &mark);
        let (first, rest) = snippet.split_once('\n').unwrap();
        assert_eq!(Mark::from_comment(first), Some(mark));
        assert_eq!(rest, route(&want));
    }

    #[test]
    fn unknown_host_names_get_404() {
        let config = main_config("sites");
        for line in ["admin localhost:2019", "auto_https off", "404", "import sites/*.caddy"] {
            assert!(config.contains(line), "{line}");
        }
    }
}
