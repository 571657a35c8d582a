//! Pages as owners make them.

use super::{Owned, PATIENCE};

/// Plugins as owners have them: a hidden login, a front page that redirects, one for members only, one in maintenance,
/// one that fails. Each site is changed all the same, rotated and suspended.
pub(super) fn are_the_owner_s(owned: &Owned<'_>) {
    let (instance, site) = (owned.instance, owned.site);
    let only =
        |path: &str, then: &str| format!("if (parse_url($_SERVER['REQUEST_URI'])['path'] === '{path}') {{ {then} }}");
    let plugins = [
        ("/wp-login.php", 404, only("/wp-login.php", "http_response_code(404); exit;")),
        ("/", 302, only("/", "header('Location: /en/', true, 302); exit;")),
        ("/", 401, "http_response_code(401); exit;".to_owned()),
        ("/", 503, "http_response_code(503); exit('coming soon');".to_owned()),
        ("/", 500, "this_function_is_not_there();".to_owned()),
    ];
    owned.sh("mkdir -p wp-content/mu-plugins");
    for (nth, (path, status, plugin)) in plugins.iter().enumerate() {
        let plugin = format!("<?php if (isset($_SERVER['HTTP_X_FORWARDED_FOR'])) {{ {plugin} }}");
        owned.sh(&format!("cat > wp-content/mu-plugins/pages.php <<'END'\n{plugin}\nEND\n"));
        let begins = format!("HTTP/1.1 {status} ");
        instance.until("the plugin's answer", PATIENCE, |_| owned.curl(path, &[]).starts_with(&begins));
        let before = owned.everything();
        owned.change(if nth % 2 == 0 { "200" } else { "192" });
        owned.order("rotate");
        assert!(owned.curl(path, &[]).starts_with(&begins), "{status}");
        owned.order("suspend");
        owned.order("resume");
        assert!(owned.curl(path, &[]).starts_with(&begins), "{status}");
        assert_eq!(owned.everything(), before);
    }
    owned.sh("rm -r wp-content/mu-plugins");
    instance.expect_whole(site);
}
