//! Tokens: their scopes, their ends, and their texts, which are shown once.

use hostplane::api::routes;
use hostplane_domain::token::TokenScope;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::bad_input::problem;
use crate::harness::{Answered, Harness, answered, assert_snapshot};

const ABSENT: &str = "018f0000-0000-7000-8000-000000000000";

impl Harness {
    /// Makes a token and returns its id and its text.
    pub async fn token_of(&self, scope: TokenScope) -> (String, String) {
        let asked = json!({ "name": "test", "scope": scope });
        let made = self.post("/api/v1/tokens", &asked).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
        (made.body["id"].as_str().unwrap().to_owned(), made.body["token"].as_str().unwrap().to_owned())
    }

    pub async fn ask_with(&self, token: &str, method: Method, path: &str) -> Answered {
        answered(self.without_token(method, path).bearer_auth(token)).await
    }
}

/// The rule beside the list of the routes: reads need `read`; orders, secrets and expensive reads `operate`; tokens
/// and the rotation of the secret `admin`.
fn expected(method: &Method, path: &str) -> Option<TokenScope> {
    match path {
        "/healthz" | "/readyz" => None,
        path if path.starts_with("/api/v1/tokens") || path == "/api/v1/secret/rotate" => Some(TokenScope::Admin),
        path if ["/credentials", "/logs", "/doctor"].iter().any(|end| path.ends_with(end)) => Some(TokenScope::Operate),
        _ if method == Method::GET => Some(TokenScope::Read),
        _ => Some(TokenScope::Operate),
    }
}

#[tokio::test]
async fn each_route_lets_in_its_scope_and_above() {
    let harness = Harness::idle().await;
    let mut tokens = Vec::new();
    for scope in TokenScope::ALL {
        tokens.push((*scope, harness.token_of(*scope).await.1));
    }
    for route in routes() {
        let needed = expected(&route.method, route.path);
        assert_eq!(route.needs, needed, "{} {}", route.method, route.path);
        let path = route.path.replace("{site}", "absent").replace("{id}", ABSENT);
        for (has, token) in &tokens {
            let answer = harness.ask_with(token, route.method.clone(), &path).await;
            let what = format!("{} {path} with {has}: {}", route.method, answer.body);
            match needed {
                Some(needed) if *has < needed => {
                    assert_eq!(problem(&answer, 403), "insufficient-scope", "{what}");
                    assert_eq!(answer.body["scope"], needed.as_str(), "{what}");
                    assert!(answer.body["detail"].as_str().unwrap().contains(needed.as_str()), "{what}");
                    let challenge = answer.headers["www-authenticate"].to_str().unwrap();
                    assert!(challenge.contains("insufficient_scope"), "{what}");
                }
                _ => assert!(
                    !matches!(answer.status.as_u16(), 401 | 403 | 404 | 405) || is_about_content(&answer),
                    "{what}"
                ),
            }
        }
        let without = answered(harness.without_token(route.method.clone(), &path)).await;
        assert_eq!(without.status == StatusCode::UNAUTHORIZED, needed.is_some(), "{} {path}", route.method);
    }
    assert_eq!(harness.counts().await, (0, 0));
}

/// Tests if the request was let in and its subject doesn't exist.
fn is_about_content(answer: &Answered) -> bool {
    matches!(problem(answer, 404).as_str(), "site-not-found" | "job-not-found" | "token-not-found")
}

#[tokio::test]
async fn a_head_needs_what_its_get_needs() {
    let harness = Harness::idle().await;
    let (_, read) = harness.token_of(TokenScope::Read).await;
    assert_eq!(harness.ask_with(&read, Method::HEAD, "/api/v1/sites").await.status, StatusCode::OK);
    assert_eq!(harness.ask_with(&read, Method::HEAD, "/api/v1/tokens").await.status, StatusCode::FORBIDDEN);
    let credentials = harness.ask_with(&read, Method::HEAD, "/api/v1/sites/absent/credentials").await;
    assert_eq!(credentials.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_token_is_shown_once_and_hashed() {
    let harness = Harness::idle().await;
    let asked = json!({ "name": "ci of the shop", "scope": "operate", "expires_at": "2090-01-31T12:00:00Z" });
    let far = harness.post("/api/v1/tokens", &asked).await;
    assert_eq!(problem(&far, 422), "invalid-field");
    let asked = json!({ "name": "ci of the shop", "scope": "operate", "expires_in": 86400 });
    let made = harness.post("/api/v1/tokens", &asked).await;
    assert_eq!(made.status, StatusCode::CREATED);
    assert_snapshot("token_created", &made.body);
    let token = made.body["token"].as_str().unwrap();
    assert!(token.starts_with("hp_") && token.len() == 67);
    assert_eq!(harness.ask_with(token, Method::GET, "/api/v1/sites").await.status, StatusCode::OK);

    let listed = harness.get("/api/v1/tokens").await.body;
    assert_snapshot("tokens", &listed);
    assert_eq!(listed["items"][1]["id"], made.body["id"]);
    assert!(!listed.to_string().contains(token), "{listed}");
    // Neither in the database nor in its log of writes.
    for file in std::fs::read_dir(harness.home.dir()).unwrap() {
        let path = file.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        assert!(!bytes.windows(token.len()).any(|window| window == token.as_bytes()), "{}", path.display());
    }
}

#[tokio::test]
async fn a_revoked_token_is_refused_at_once() {
    let harness = Harness::idle().await;
    let (id, token) = harness.token_of(TokenScope::Operate).await;
    assert_eq!(harness.ask_with(&token, Method::GET, "/api/v1/sites").await.status, StatusCode::OK);
    let revoked = harness.delete(&format!("/api/v1/tokens/{id}")).await;
    assert_eq!((revoked.status, revoked.body), (StatusCode::NO_CONTENT, json!("")));
    assert_eq!(problem(&harness.ask_with(&token, Method::GET, "/api/v1/sites").await, 401), "unauthorized");
    assert_eq!(problem(&harness.delete(&format!("/api/v1/tokens/{id}")).await, 404), "token-not-found");
}

#[tokio::test]
async fn the_home_s_token_can_not_be_revoked() {
    let harness = Harness::idle().await;
    let (_, admin) = harness.token_of(TokenScope::Admin).await;
    let home = harness.get("/api/v1/tokens").await.body["items"][0]["id"].as_str().unwrap().to_owned();
    for token in [&harness.token, &admin] {
        let refused = harness.ask_with(token, Method::DELETE, &format!("/api/v1/tokens/{home}")).await;
        assert_eq!(problem(&refused, 409), "home-token");
        assert!(refused.body["detail"].as_str().unwrap().contains("remove the file"), "{}", refused.body);
    }
    assert_eq!(harness.get("/api/v1/sites").await.status, StatusCode::OK);
}

#[tokio::test]
async fn invalid_tokens_are_not_made() {
    let harness = Harness::idle().await;
    let token = |field: &str, value: Value| {
        let mut token = json!({ "name": "ci", "scope": "read" });
        token[field] = value;
        (field.to_owned(), token)
    };
    let mut cases = vec![
        ("name".to_owned(), json!({ "scope": "read" })),
        ("scope".to_owned(), json!({ "name": "ci" })),
        (
            "expires_in".to_owned(),
            json!({ "name": "ci", "scope": "read", "expires_in": 9, "expires_at": "2030-01-01T00:00:00Z" }),
        ),
        token("of_home", json!(true)),
        token("token", json!("hp_mine")),
    ];
    for name in [json!(""), json!(" ci"), json!("a\nb"), json!("x".repeat(65)), json!(7), json!(null)] {
        cases.push(token("name", name));
    }
    for scope in [json!(""), json!("Read"), json!("root"), json!("read operate"), json!(["read"]), json!(null)] {
        cases.push(token("scope", scope));
    }
    for life in [json!(0), json!(-1), json!(1.5), json!("1d"), json!(u64::MAX), json!(1e300), json!([]), json!(true)] {
        cases.push(token("expires_in", life));
    }
    for end in ["", "soon", "2020-01-01T00:00:00Z", "9999-12-30T00:00:00Z", "2030-13-01T00:00:00Z", "2030-01-01"] {
        cases.push(token("expires_at", json!(end)));
    }
    for (field, body) in cases {
        let answer = harness.post("/api/v1/tokens", &body).await;
        assert_eq!(problem(&answer, 422), "invalid-field", "{body}");
        assert_eq!(answer.body["pointer"], format!("/{field}"), "{body}");
    }
    assert_eq!(harness.get("/api/v1/tokens").await.body["items"].as_array().unwrap().len(), 1, "the home's alone");
}

#[tokio::test]
async fn lists_of_tokens_come_in_pages() {
    let harness = Harness::idle().await;
    for _ in 0..2 {
        harness.token_of(TokenScope::Read).await;
    }
    let first = harness.get("/api/v1/tokens?limit=2").await.body;
    assert_eq!(first["items"].as_array().unwrap().len(), 2);
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = harness.get(&format!("/api/v1/tokens?limit=2&cursor={cursor}")).await.body;
    assert_eq!((second["items"].as_array().unwrap().len(), &second["next_cursor"]), (1, &Value::Null));
}

#[tokio::test]
async fn from_the_command_line() {
    let harness = Harness::idle().await;
    let (out, _) = harness.done(&["token", "create", "ci", "--scope", "read", "--expires-in", "90d", "--json"]).await;
    let made: Value = serde_json::from_str(&out).unwrap();
    let (id, token) = (made["id"].as_str().unwrap(), made["token"].as_str().unwrap());
    assert_eq!(harness.ask_with(token, Method::GET, "/api/v1/sites").await.status, StatusCode::OK);
    let (out, err) = harness.done(&["token", "create", "other", "--scope", "admin"]).await;
    assert!(out.contains("hp_") && out.contains("never") && err.contains("only this once"), "{out}{err}");

    let (_, out, _) = harness.cli(&["token", "list"]).await;
    assert!(out.contains(id) && out.contains("ci") && !out.contains("hp_"), "{out}");
    harness.done(&["token", "revoke", id]).await;
    assert_eq!(harness.ask_with(token, Method::GET, "/api/v1/sites").await.status, StatusCode::UNAUTHORIZED);
    let (code, _, err) = harness.cli(&["token", "revoke", id]).await;
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("hostplane token list"), "{err}");
    for arguments in [
        &["token", "create", "ci"][..],
        &["token", "create", "ci", "--scope", "root"],
        &["token", "create", "", "--scope", "read"],
        &["token", "create", "ci", "--scope", "read", "--expires-in", "1s1"],
        &["token", "revoke", "ci"],
    ] {
        let (code, _, err) = harness.cli(arguments).await;
        assert_eq!(code, Some(2), "{arguments:?}: {err}");
    }
}
