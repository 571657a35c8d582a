//! Bodies: their texts, sizes and media types.

use serde_json::json;

use super::{HUSH, JOB, Table};

const VALID: &str = r#"{"name":"hello","kind":"wordpress"}"#;

pub fn all(table: &mut Table) {
    for part in [texts, fields, sizes, media] {
        part(table);
    }
}

fn texts(table: &mut Table) {
    let deep = [("[", "]"), ("{\"a\":", "}")].map(|(open, close)| open.repeat(9000) + "1" + &close.repeat(9000));
    let wide = format!("{{{}}}", (0..4000).map(|n| format!("\"f{n}\":{n}")).collect::<Vec<_>>().join(","));
    let huge = format!(r#"{{"name":"hello","kind":"wordpress","title":"{}"}}"#, "x".repeat(66_000));
    let mut all: Vec<Vec<u8>> = [
        "",
        " ",
        "{",
        "}",
        "{}",
        "[]",
        "[{}]",
        "null",
        "true",
        "0",
        "-",
        "1e999",
        "NaN",
        "\"\"",
        "\"hello\"",
        "{]",
        "{\"name\"}",
        "{\"name\":}",
        "{name:\"hello\"}",
        "{'name':'hello'}",
        "{\"name\":\"hello\",}",
        "{\"name\":\"hello\" \"kind\":\"wordpress\"}",
        "{\"name\":\"hello\",\"kind\":\"wordpress\"}{}",
        "{\"name\":\"hello\",\"kind\":\"wordpress\"}\0",
        "/**/{\"name\":\"hello\",\"kind\":\"wordpress\"}",
        "\u{feff}{\"name\":\"hello\",\"kind\":\"wordpress\"}",
        "{\"name\":\"a\",\"name\":\"b\",\"kind\":\"wordpress\"}",
        "{\"name\":\"a\",\"kind\":\"wordpress\",\"kind\":\"wordpress\"}",
        "{\"name\":\"a\",\"kind\":\"wordpress\",\"\":1}",
        "{\"name\":\"a\",\"kind\":\"wordpress\",\"__proto__\":{}}",
        "{\"name\":\"a\",\"kind\":\"wordpress\",\"id\":\"018f0000-0000-7000-8000-000000000000\"}",
        "{\"name\":\"a\",\"kind\":\"wordpress\",\"status\":\"ACTIVE\"}",
        "{\"name\":\"a\",\"kind\":\"WordPress\"}",
        "{\"name\":\"a\",\"kind\":\"static\"}",
        "{\"name\":\"a\",\"kind\":\"\"}",
        "{\"name\":\"a\",\"kind\":null}",
        "{\"name\":\"a\",\"kind\":[\"wordpress\"]}",
        "{\"name\":\"\\ud800\",\"kind\":\"wordpress\"}",
        "{\"name\":\"\\u0000\",\"kind\":\"wordpress\"}",
        "{\"name\":\"a\tb\",\"kind\":\"wordpress\"}",
        "name=hello&kind=wordpress",
        "<site><name>hello</name></site>",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into();
    all.extend(deep.map(String::into_bytes));
    all.extend([wide.into_bytes(), huge.into_bytes()]);
    all.extend([
        b"\xff\xfe".to_vec(),
        b"{\"name\":\"\xff\",\"kind\":\"wordpress\"}".to_vec(),
        b"\x1f\x8b\x08\0\0".to_vec(),
    ]);
    for body in &all {
        table.post("/api/v1/sites", body);
        table.post("/api/v1/sites/hello/exec", body);
        table.post("/api/v1/tokens", body);
    }
}

fn fields(table: &mut Table) {
    for (field, values) in [
        (
            "title",
            vec![
                json!(""),
                json!("\u{0}"),
                json!("a\nb"),
                json!("\u{1b}[2J"),
                json!("x".repeat(201)),
                json!(1),
                json!({}),
            ],
        ),
        (
            "admin_user",
            vec![json!(""), json!("a b"), json!("<b>"), json!("a\n"), json!("x".repeat(61)), json!("é"), json!([])],
        ),
        (
            "admin_email",
            vec![
                json!(""),
                json!("a"),
                json!("a@"),
                json!("a@b\nBcc: c@d"),
                json!("a b@c.de"),
                json!("x".repeat(101)),
                json!(0),
            ],
        ),
        ("domain", vec![json!("example.com")]),
        ("limits", vec![json!({ "memory": "1TB" })]),
    ] {
        for value in values {
            let mut body = json!({ "name": "hello", "kind": "wordpress" });
            body[field] = value;
            table.post("/api/v1/sites", body.to_string().as_bytes());
        }
    }
    for (field, value) in [
        ("scope", json!("root")),
        ("scope", json!("ADMIN")),
        ("scope", json!("admin\0")),
        ("name", json!("a\u{1b}[2J")),
        ("token", json!(HUSH)),
        ("of_home", json!(true)),
        ("expires_in", json!(-5)),
        ("expires_in", json!(1e18)),
        ("expires_at", json!("+262143-01-01T00:00:00Z")),
        ("expires_at", json!("-000001-01-01T00:00:00Z")),
        ("expires_at", json!(HUSH)),
    ] {
        let mut body = json!({ "name": "ci", "scope": "read" });
        body[field] = value;
        table.post("/api/v1/tokens", body.to_string().as_bytes());
    }
}

fn sizes(table: &mut Table) {
    // A body where none is read is too large all the same.
    table.add("GET", "/api/v1/sites", &[("content-length", b"99999999")], b"");
    for path in [&format!("/api/v1/jobs/{JOB}/retry"), &format!("/api/v1/jobs/{JOB}/cancel")] {
        table.post(path, b"{}");
        table.post(path, &b"x".repeat(66_000));
    }
    let chunked: &[(&str, &[u8])] = &[("content-type", b"application/json"), ("transfer-encoding", b"chunked")];
    for body in [&b"0\r\n\r\n"[..], b"ZZ\r\n", b"2\r\n{}x\r\n0\r\n\r\n", b"ffffffffffffffff\r\n{}"] {
        table.add("POST", "/api/v1/sites", chunked, body);
    }
}

fn media(table: &mut Table) {
    let valid = VALID.as_bytes();
    let types: [&[u8]; 18] = [
        b"",
        b"text/plain",
        b"text/json",
        b"application/xml",
        b"application/json5",
        b"application/jsonx",
        b"application/problem+json",
        b"application/x-www-form-urlencoded",
        b"multipart/form-data; boundary=x",
        b"application",
        b"application/",
        b"/json",
        b"*/*",
        b"application/*",
        b"application/json; charset=utf-16",
        b"application/json; charset=latin1",
        b"application/json, text/plain",
        b"application/json\xff",
    ];
    for media in types {
        table.add("POST", "/api/v1/sites", &[("content-type", media)], valid);
    }
    for encoding in [&b"gzip"[..], b"br", b"deflate", b"zstd", b"identity, gzip", b"GZIP", b"x", b"\xff"] {
        let headers: &[(&str, &[u8])] = &[("content-type", b"application/json"), ("content-encoding", encoding)];
        table.add("POST", "/api/v1/sites", headers, valid);
    }
}
