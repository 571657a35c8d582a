//! Bad input gets the right 4xx with advice, and creates nothing.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Answered, Harness, answered};

/// Checks the form of a problem and returns the end of its type.
pub fn problem(answer: &Answered, status: u16) -> String {
    let Answered { status: found, headers, body } = answer;
    assert_eq!(found.as_u16(), status, "{body}");
    assert_eq!(headers["content-type"], "application/problem+json", "{body}");
    assert_eq!(body["status"], status);
    for member in ["title", "detail"] {
        assert!(body[member].as_str().is_some_and(|text| !text.is_empty()), "{member} in {body}");
    }
    body["type"].as_str().unwrap().strip_prefix("urn:hostplane:problem:").unwrap().to_owned()
}

#[tokio::test]
async fn fields_of_a_new_site() {
    let harness = Harness::idle().await;
    let long = "a".repeat(33);
    let site = |field: &str, value: Value| {
        let mut site = json!({ "name": "hello", "kind": "wordpress" });
        site[field] = value;
        (field.to_owned(), site)
    };
    let mut cases = vec![
        ("name".to_owned(), json!({ "kind": "wordpress" })),
        ("kind".to_owned(), json!({ "name": "hello" })),
        site("kind", json!("joomla")),
        site("kind", json!(1)),
        site("title", json!("")),
        site("title", json!("a\nb")),
        site("title", json!(["a"])),
        site("admin_user", json!("a b")),
        site("admin_email", json!("absent")),
        site("domain", json!("example.com")),
        site("Name", json!("hello")),
    ];
    for name in ["", "Hello", "a_b", "a.b", "1a", "-a", "a-", "xn--a", "www", "../etc", "a\u{0}", "ä", long.as_str()] {
        cases.push(site("name", json!(name)));
    }
    for value in [json!(null), json!(7), json!({}), json!(["a"])] {
        cases.push(site("name", value));
    }
    for (field, body) in cases {
        let answer = harness.post("/api/v1/sites", &body).await;
        assert_eq!(problem(&answer, 422), "invalid-field", "{body}");
        assert_eq!(answer.body["pointer"], format!("/{field}"), "{body}");
    }
    let answer = harness.post("/api/v1/sites", &json!({ "name": "hello", "kind": "static" })).await;
    assert_eq!(problem(&answer, 422), "kind-not-available");
    assert!(answer.body["detail"].as_str().unwrap().contains("not available yet"));
    assert_eq!(harness.counts().await, (0, 0));
}

#[tokio::test]
async fn bodies() {
    let harness = Harness::idle().await;
    let valid = r#"{"name":"hello","kind":"wordpress"}"#;
    let huge = format!(r#"{{"name":"hello","kind":"wordpress","title":"{}"}}"#, "x".repeat(70_000));
    let deep = "[".repeat(60_000);
    let json_type = Some("application/json");
    let cases: Vec<(&str, Vec<u8>, Option<&str>, u16)> = vec![
        ("malformed-json", b"".to_vec(), json_type, 400),
        ("malformed-json", b"{".to_vec(), json_type, 400),
        ("malformed-json", b"name=hello".to_vec(), json_type, 400),
        ("malformed-json", format!("{valid} x").into_bytes(), json_type, 400),
        ("malformed-json", b"{\"name\":\"\xff\"}".to_vec(), json_type, 400),
        ("malformed-json", br#"{"name":"\ud800"}"#.to_vec(), json_type, 400),
        ("invalid-field", b"[]".to_vec(), json_type, 422),
        ("invalid-field", b"null".to_vec(), json_type, 422),
        ("invalid-field", b"\"hello\"".to_vec(), json_type, 422),
        ("invalid-field", br#"{"name":"a","name":"b","kind":"wordpress"}"#.to_vec(), json_type, 422),
        ("invalid-field", deep.into_bytes(), json_type, 422),
        ("body-too-large", huge.into_bytes(), json_type, 413),
        ("unsupported-media-type", valid.into(), None, 415),
        ("unsupported-media-type", valid.into(), Some("text/plain"), 415),
        ("unsupported-media-type", valid.into(), Some("application/x-www-form-urlencoded"), 415),
        ("unsupported-media-type", valid.into(), Some("application/json; charset=latin1"), 415),
    ];
    for (kind, body, media, status) in cases {
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        let request = harness.request(Method::POST, "/api/v1/sites").body(body);
        let request = match media {
            Some(media) => request.header("content-type", media),
            None => request,
        };
        assert_eq!(problem(&answered(request).await, status), kind, "{shown}");
    }
    let packed = harness.request(Method::POST, "/api/v1/sites").json(&json!({})).header("content-encoding", "gzip");
    assert_eq!(problem(&answered(packed).await, 415), "unsupported-media-type");
    let position = answered(
        harness.request(Method::POST, "/api/v1/sites").header("content-type", "application/json").body("{\n x"),
    );
    assert!(position.await.body["detail"].as_str().unwrap().contains("line 2, column"));
    assert_eq!(harness.counts().await, (0, 0));
}

#[tokio::test]
async fn a_body_of_unknown_length_is_limited_too() {
    let harness = Harness::idle().await;
    let chunks = (0..20).map(|_| Ok::<_, std::io::Error>(vec![b' '; 8192]));
    let body = reqwest::Body::wrap_stream(futures_util::stream::iter(chunks));
    let request = harness.request(Method::POST, "/api/v1/sites").header("content-type", "application/json").body(body);
    assert_eq!(problem(&answered(request).await, 413), "body-too-large");
}

#[tokio::test]
async fn tokens() {
    let harness = Harness::idle().await;
    let almost = format!("{}0", &harness.token[..harness.token.len() - 1]);
    let almost =
        if almost == harness.token { format!("{}1", &harness.token[..harness.token.len() - 1]) } else { almost };
    let values = [
        String::new(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        harness.token.clone(),
        format!("Basic {}", harness.token),
        format!("Bearer {}x", harness.token),
        format!("Bearer {almost}"),
        format!("Bearer {} {}", harness.token, harness.token),
        "Bearer ' OR 1=1 --".to_owned(),
    ];
    let body = json!({ "name": "hello", "kind": "wordpress" });
    for (n, value) in (1..).zip(values) {
        // Each comes from an address of its own: too many from one have to wait.
        let from = std::net::IpAddr::from([127, 0, 1, n]);
        let http = reqwest::Client::builder().no_proxy().local_address(from).build().unwrap();
        for (method, path) in [
            (Method::POST, "/api/v1/sites"),
            (Method::GET, "/api/v1/sites"),
            (Method::DELETE, "/api/v1/sites/hello?confirm=hello"),
            (Method::GET, "/api/v1/nowhere"),
            (Method::PUT, "/api/v1/jobs"),
            (Method::POST, "/api/v1/jobs/018f0000-0000-7000-8000-000000000000/cancel"),
        ] {
            let request = http.request(method, format!("http://{}{path}", harness.address));
            let request = request.header("authorization", &value).json(&body);
            let answer = answered(request).await;
            assert_eq!(problem(&answer, 401), "unauthorized", "{value}");
            assert!(answer.headers["www-authenticate"].to_str().unwrap().starts_with("Bearer"), "{value}");
        }
    }
    let missing = answered(harness.without_token(Method::POST, "/api/v1/sites").json(&body)).await;
    assert_eq!(problem(&missing, 401), "unauthorized");
    let twice = harness.request(Method::GET, "/api/v1/sites").header("authorization", "Bearer x");
    assert_eq!(problem(&answered(twice).await, 401), "unauthorized");
    let lower = harness
        .without_token(Method::GET, "/api/v1/sites")
        .header("authorization", format!("bearer {}", harness.token));
    assert_eq!(answered(lower).await.status, StatusCode::OK);
    assert_eq!(harness.counts().await, (0, 0));
}

#[tokio::test]
async fn parameters() {
    let harness = Harness::idle().await;
    let long = format!("/api/v1/sites?cursor={}", "a".repeat(201));
    let no_job = "018f0000-0000-7000-8000-000000000000";
    for (path, parameter) in [
        ("/api/v1/sites?limit=0", json!("limit")),
        ("/api/v1/sites?limit=101", json!("limit")),
        ("/api/v1/sites?limit=-1", json!("limit")),
        ("/api/v1/sites?limit=x", json!("limit")),
        ("/api/v1/sites?limit=99999999999999999999", json!("limit")),
        ("/api/v1/sites?limit=1&limit=2", json!("limit")),
        ("/api/v1/sites?status=active", json!("status")),
        ("/api/v1/sites?status=", json!("status")),
        ("/api/v1/sites?cursor=%00", json!("cursor")),
        ("/api/v1/sites?cursor=..", json!("cursor")),
        ("/api/v1/sites?cursor=%ff", json!("cursor")),
        (long.as_str(), json!("cursor")),
        ("/api/v1/sites?page=2", Value::Null),
        ("/api/v1/jobs?state=done", json!("state")),
        ("/api/v1/jobs?site=Hello", json!("site")),
        ("/api/v1/jobs?cursor=hello", json!("cursor")),
        ("/api/v1/jobs?limit=", json!("limit")),
        ("/api/v1/sites/Hello", json!("site")),
        ("/api/v1/sites/..%2Fetc", json!("site")),
        ("/api/v1/sites/%ff", json!("site")),
        ("/api/v1/sites/a%00", json!("site")),
        ("/api/v1/sites/hello%20", json!("site")),
        ("/api/v1/sites/www/credentials", json!("site")),
        ("/api/v1/jobs/1", json!("id")),
        ("/api/v1/jobs/%ff", json!("id")),
        (&format!("/api/v1/jobs/{no_job}?x=1"), Value::Null),
        ("/api/v1/jobs/1/events", json!("id")),
        (&format!("/api/v1/jobs/{no_job}/events?from=1"), Value::Null),
        ("/api/v1/sites/hello/logs?container=mariadb", json!("container")),
        ("/api/v1/sites/hello/logs?container=", json!("container")),
        ("/api/v1/sites/hello/logs?lines=0", json!("lines")),
        ("/api/v1/sites/hello/logs?lines=1001", json!("lines")),
        ("/api/v1/sites/hello/logs?lines=x", json!("lines")),
        ("/api/v1/sites/hello/logs?after=now", json!("after")),
        ("/api/v1/sites/hello/logs?after=0", json!("after")),
        ("/api/v1/sites/hello/logs?since=1", Value::Null),
    ] {
        let answer = harness.get(path).await;
        assert_eq!(problem(&answer, 400), "invalid-parameter", "{path}");
        assert_eq!(answer.body["parameter"], parameter, "{path}");
    }
    let dry = harness.post("/api/v1/sites?dry_run=1", &json!({ "name": "hello", "kind": "wordpress" })).await;
    assert_eq!(problem(&dry, 400), "invalid-parameter");
    assert_eq!(harness.counts().await, (0, 0));
}

#[tokio::test]
async fn addresses_and_methods() {
    let harness = Harness::idle().await;
    for path in
        ["/", "/api", "/api/v1", "/api/v1/sites/", "/api/v1/sites/a/b", "/api/v2/sites", "//healthz", "/api/v1/%ff"]
    {
        assert_eq!(problem(&harness.get(path).await, 404), "not-found", "{path}");
    }
    for (method, path, allow) in [
        (Method::PUT, "/api/v1/sites", "GET,HEAD,POST"),
        (Method::DELETE, "/api/v1/sites", "GET,HEAD,POST"),
        (Method::POST, "/api/v1/sites/hello", "GET,HEAD,PATCH,DELETE"),
        (Method::POST, "/api/v1/jobs", "GET,HEAD"),
        (Method::GET, "/api/v1/jobs/018f0000-0000-7000-8000-000000000000/retry", "POST"),
        (Method::GET, "/api/v1/jobs/018f0000-0000-7000-8000-000000000000/cancel", "POST"),
        (Method::POST, "/healthz", "GET,HEAD"),
        (Method::TRACE, "/api/v1/sites", "GET,HEAD,POST"),
        (Method::from_bytes(b"BREW").unwrap(), "/api/v1/sites", "GET,HEAD,POST"),
    ] {
        let answer = answered(harness.request(method.clone(), path)).await;
        assert_eq!(problem(&answer, 405), "method-not-allowed", "{method} {path}");
        assert_eq!(answer.headers["allow"], allow, "{method} {path}");
    }
    assert_eq!(harness.counts().await, (0, 0));
}

#[tokio::test]
async fn absent_sites_and_jobs() {
    let harness = Harness::idle().await;
    let job = "/api/v1/jobs/018f0000-0000-7000-8000-000000000000";
    for (method, path, kind) in [
        (Method::GET, "/api/v1/sites/absent", "site-not-found"),
        (Method::GET, "/api/v1/sites/absent/credentials", "site-not-found"),
        (Method::GET, "/api/v1/sites/absent/logs", "site-not-found"),
        (Method::DELETE, "/api/v1/sites/absent?confirm=absent", "site-not-found"),
        (Method::GET, "/api/v1/jobs?site=absent", "site-not-found"),
        (Method::GET, job, "job-not-found"),
        (Method::GET, &format!("{job}/events"), "job-not-found"),
        (Method::POST, &format!("{job}/retry"), "job-not-found"),
        (Method::POST, &format!("{job}/cancel"), "job-not-found"),
    ] {
        assert_eq!(problem(&answered(harness.request(method, path)).await, 404), kind, "{path}");
    }
}

#[tokio::test]
async fn operations_that_the_status_forbids() {
    let harness = Harness::idle().await;
    let job = harness.create("hello").await;
    let again = harness.post("/api/v1/sites", &json!({ "name": "hello", "kind": "wordpress" })).await;
    assert_eq!(problem(&again, 409), "site-exists");
    assert_eq!(problem(&harness.get("/api/v1/sites/hello/credentials").await, 409), "wrong-status");
    let busy = harness.delete("/api/v1/sites/hello?confirm=hello").await;
    assert_eq!(problem(&busy, 409), "site-busy");
    assert!(busy.body["detail"].as_str().unwrap().contains(&job));
    let retry = answered(harness.request(Method::POST, &format!("/api/v1/jobs/{job}/retry"))).await;
    assert_eq!(problem(&retry, 409), "job-not-retriable");
    assert_eq!(harness.counts().await, (1, 1));
}

#[tokio::test]
async fn an_unconfirmed_destroy_names_the_confirmation() {
    let harness = Harness::with_hello().await;
    for query in ["", "?confirm=", "?confirm=Hello", "?confirm=other", "?confirm=true"] {
        let answer = harness.delete(&format!("/api/v1/sites/hello{query}")).await;
        assert_eq!(problem(&answer, 400), "confirmation-required", "{query}");
        let detail = answer.body["detail"].as_str().unwrap();
        assert!(detail.contains("DELETE /api/v1/sites/hello?confirm=hello"), "{detail}");
    }
    let twice = harness.delete("/api/v1/sites/hello?confirm=hello&confirm=hello").await;
    assert_eq!(problem(&twice, 400), "invalid-parameter");
    assert_eq!(harness.get("/api/v1/sites/hello").await.body["status"], "ACTIVE");
    assert_eq!(harness.counts().await, (1, 1));
}
