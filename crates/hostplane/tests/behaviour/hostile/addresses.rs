//! Names, parameters, paths, methods and headers.

use serde_json::json;

use super::{HUSH, JOB, Table, encoded};

const NAMES: [&str; 46] = [
    "",
    " ",
    "Hello",
    "HELLO",
    "hello ",
    " hello",
    "hel lo",
    "hello\n",
    "hello\r\nx-evil: 1",
    "hello\t",
    "hello\0",
    "\0",
    "a_b",
    "a.b",
    "a/b",
    "a\\b",
    "a:b",
    "a;b",
    "a'b",
    "a\"b",
    "a`b`",
    "a$b",
    "$(reboot)",
    "${HOME}",
    "{env.HOME}",
    "{{7*7}}",
    "%s%n",
    "%2e%2e",
    "..",
    "../etc/passwd",
    "/etc/passwd",
    "~root",
    "-a",
    "a-",
    "-",
    "--yes",
    "1a",
    "9",
    "xn--a",
    "ä",
    "аdmin",
    "hello\u{202e}",
    "😀",
    "www",
    "<script>",
    "' OR 1=1 --",
];

pub fn names(table: &mut Table) {
    let long = ["a".repeat(33), "a".repeat(150), "é".repeat(40)];
    for name in NAMES.iter().copied().chain(long.iter().map(String::as_str)) {
        let body = json!({ "name": name, "kind": "wordpress", "title": HUSH });
        table.post("/api/v1/sites", body.to_string().as_bytes());
        let path = encoded(name.as_bytes());
        table.get(&format!("/api/v1/sites/{path}"));
        table.get(&format!("/api/v1/sites/{path}/credentials"));
        table.add("DELETE", &format!("/api/v1/sites/{path}?confirm={path}"), &[], b"");
        table.get(&format!("/api/v1/jobs?site={path}"));
        table.get(&format!("/api/v1/jobs/{path}x"));
        table.get(&format!("/api/v1/jobs/{path}x/events"));
        table.add("DELETE", &format!("/api/v1/tokens/{path}x"), &[], b"");
    }
}

pub fn parameters(table: &mut Table) {
    let long = format!("{HUSH}{}", "a".repeat(500));
    let values = [
        "",
        "%00",
        "%ff",
        "%",
        "%zz",
        "0",
        "-1",
        "null",
        "..",
        "1",
        "018f0000-0000-7000-8000-00000000000",
        "018f0000-0000-7000-8000-0000000000000",
        "018f0000-0000-7000-8000-00000000000g",
        "018f0000_0000_7000_8000_000000000000",
        "%27%20OR%201%3D1--",
        "%3Cscript%3E",
        "$(reboot)",
        "eyJpZCI6MX0=",
        HUSH,
        &long,
    ];
    for value in values {
        for list in ["sites", "jobs", "tokens"] {
            table.get(&format!("/api/v1/{list}?cursor={value}"));
        }
        table.get(&format!("/api/v1/sites?status={value}"));
        table.get(&format!("/api/v1/jobs?state={value}"));
        table.get(&format!("/api/v1/sites?{HUSH}={value}"));
        table.get(&format!("/api/v1/sites/hello/logs?after={value}"));
        table.get(&format!("/api/v1/sites/hello/logs?container={value}"));
        table.get(&format!("/api/v1/sites/hello/logs?lines={value}"));
        if value != "1" {
            table.get(&format!("/api/v1/sites?limit={value}"));
        }
    }
    // Of the right form, and made up.
    table.get(&format!("/api/v1/sites?cursor={JOB}"));
    table.get(&format!("/api/v1/jobs?cursor={JOB}"));
    for operation in ["", "Provision", "drop", "provision%00", "provision,destroy"] {
        table.get(&format!("/api/v1/jobs?operation={operation}"));
    }
    for prefix in ["", "A", "_", "%25", "a%25", "-a", "%00", "a*", "aaaaaaaaaabbbbbbbbbbccccccccccddd"] {
        table.get(&format!("/api/v1/sites?prefix={prefix}"));
    }
    for query in
        ["limit=1&limit=1", "cursor", "limit=101", "limit=1&page=2", "&&&=", "=", "limit[]=1", "a=1;b=2", "LIMIT=1"]
    {
        table.get(&format!("/api/v1/sites?{query}"));
        table.get(&format!("/api/v1/jobs?{query}"));
    }
}

pub fn paths(table: &mut Table) {
    for path in [
        "/",
        "//",
        "/.",
        "/..",
        "/../../etc/passwd",
        "/api",
        "/api/",
        "/api/v1",
        "/api/v1/",
        "/api/v0/sites",
        "/api/v2/sites",
        "/API/V1/SITES",
        "/api/v1/sites/",
        "/api/v1//sites",
        "/api/v1/./sites",
        "/api/v1/../v1/sites",
        "/api/v1/sites/a/b",
        "/api/v1/sites/a/credentials/",
        "/api/v1/sites/a/credentials/x",
        "/api/v1/sites%2fa",
        "/api/v1/sites;x=1",
        "/api/v1/sites%00",
        "/api/v1/%73ites",
        "/api/v1/jobs/",
        "/api/v1/jobs/../sites",
        "/api/v1/users",
        "/api/v1/tokens/",
        "/healthz/",
        "//healthz",
        "/HEALTHZ",
        "/readyz/x",
        "/metrics/../healthz",
        "/.env",
        "/.git/config",
        "/wp-login.php",
        "/cgi-bin/sh",
        "/%",
        "/%zz",
        "/%ff",
        "http://evil.example/api/v1/nowhere",
        "http://evil.example/",
    ] {
        table.get(path);
    }
    table.get(&format!("/api/v1/{}", "x".repeat(9000)));
    table.get(&"/a".repeat(4000));
    for method in ["PUT", "PATCH", "TRACE", "OPTIONS", "PROPFIND", "MKCOL", "LOCK", "BREW", "get", "X-METHOD", "PURGE"]
    {
        for path in [
            "/healthz",
            "/api/v1/sites",
            "/api/v1/sites/hello",
            "/api/v1/jobs",
            &format!("/api/v1/jobs/{JOB}/cancel"),
            "/api/v1/tokens",
        ] {
            table.add(method, path, &[], b"");
        }
    }
    // Other servers would take these for another method.
    for header in ["x-http-method-override", "x-http-method", "x-method-override"] {
        table.add("POST", "/api/v1/jobs", &[(header, b"GET")], b"");
    }
}

pub fn headers(table: &mut Table) {
    let token = table.token.clone();
    let right = format!("Bearer {token}");
    let upper = format!("Bearer {}", token.to_uppercase());
    let odd = [
        String::new(),
        " ".into(),
        "Bearer".into(),
        "Bearer ".into(),
        "Bearer  ".into(),
        "bearer".into(),
        token.clone(),
        format!("Basic {HUSH}"),
        format!("Digest {HUSH}"),
        format!("Token {token}"),
        format!("Bearer{token}"),
        format!("Bearer={token}"),
        format!("Bearer\"{token}\""),
        format!("Bearer \"{token}\""),
        format!("Bearer {token}x"),
        format!("Bearer x{token}"),
        format!("Bearer {}", &token[..token.len() - 1]),
        format!("Bearer {token} {token}"),
        format!("Bearer {token},{token}"),
        format!("Bearer {token}, Basic x"),
        format!("Bearer {token};"),
        format!("Bearer {token}%00"),
        upper,
        format!("Bearer {HUSH}"),
        "Bearer hp_".into(),
        format!("Bearer hp_{}", "0".repeat(64)),
        format!("Bearer hp_{}", "0".repeat(9000)),
        "Bearer ' OR '1'='1".into(),
        "Bearer null".into(),
        "Bearer undefined".into(),
        "Bearer ../token".into(),
        "Bearer é".into(),
    ];
    for value in &odd {
        table.add("GET", "/api/v1/sites", &[("authorization", value.as_bytes())], b"");
    }
    table.add("GET", "/api/v1/sites", &[("authorization", b"Bearer \xff\xfe")], b"");
    table.add("GET", "/api/v1/sites", &[("authorization", right.as_bytes()), ("authorization", right.as_bytes())], b"");
    table.add("GET", "/api/v1/sites", &[("authorization", b""), ("cookie", right.as_bytes())], b"");
    table.add("GET", &format!("/api/v1/sites?access_token={token}"), &[("authorization", b"x")], b"");
    table.add("GET", &format!("/api/v1/sites?token={token}"), &[], b"");
    for (name, value) in [
        ("x-forwarded-for", &b"127.0.0.1"[..]),
        ("x-original-url", b"/healthz"),
        ("x-rewrite-url", b"/healthz"),
        ("forwarded", b"for=127.0.0.1"),
        ("host", b"evil.example"),
        ("x-request-id", b"\xff\xfe"),
        ("origin", b"http://evil.example"),
        ("upgrade", b"h2c"),
        ("expect", b"200-ok"),
    ] {
        table.add("GET", "/api/v1/nowhere", &[(name, value)], b"");
        table.add("GET", "/api/v1/sites", &[(name, value), ("authorization", b"x")], b"");
    }
    let padding = "x".repeat(20_000);
    table.add("GET", "/api/v1/nowhere", &[("x-padding", padding.as_bytes())], b"");
    let many: Vec<(String, Vec<u8>)> = (0..80).map(|n| (format!("x-{n}"), b"1".to_vec())).collect();
    let many: Vec<(&str, &[u8])> = many.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
    table.add("GET", "/api/v1/nowhere", &many, b"");
}
