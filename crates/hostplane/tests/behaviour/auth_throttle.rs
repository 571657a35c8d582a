//! A client that sends many requests without a right token has to wait; no other client does.

use std::net::IpAddr;
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::{Method, StatusCode};
use tokio::time::timeout;

use crate::bad_input::problem;
use crate::harness::{Answered, Harness, answered};

impl Harness {
    /// Sends a header `authorization` from an address of this machine.
    pub async fn show(&self, from: IpAddr, authorization: &str) -> Answered {
        let http = reqwest::Client::builder().no_proxy().local_address(from).build().unwrap();
        let request = http.request(Method::GET, format!("http://{}/api/v1/sites", self.address));
        answered(request.header("authorization", authorization)).await
    }

    /// Sends wrong tokens until they are too many.
    async fn exhaust(&self, from: IpAddr) -> Answered {
        // The allowance returns so slowly that any machine uses it up.
        for n in 0..200 {
            let wrong = if n % 2 == 0 { format!("Bearer hp_{n:064}") } else { "Basic eDp5".to_owned() };
            let answer = self.show(from, &wrong).await;
            if answer.status != StatusCode::UNAUTHORIZED {
                return answer;
            }
        }
        panic!("there is no end of wrong tokens");
    }
}

#[tokio::test]
async fn too_many_wrong_tokens_have_to_wait() {
    let harness = Harness::idle().await;
    let (one, other) = ([127, 0, 0, 1].into(), [127, 0, 0, 2].into());
    let refused = harness.exhaust(one).await;
    assert_eq!(problem(&refused, 429), "too-many-wrong-tokens");
    let wait: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=4).contains(&wait), "{wait}");
    assert_eq!(problem(&harness.show(one, "Bearer").await, 429), "too-many-wrong-tokens", "malformed ones count too");

    let right = format!("Bearer {}", harness.token);
    for _ in 0..100 {
        assert_eq!(harness.show(one, &right).await.status, StatusCode::OK, "right tokens are never slowed");
    }
    assert_eq!(problem(&harness.show(other, "Bearer hp_wrong").await, 401), "unauthorized");
    let without = answered(harness.without_token(Method::GET, "/api/v1/sites")).await;
    assert_eq!(problem(&without, 401), "unauthorized", "a request without a token guesses none");
    assert_eq!(answered(harness.without_token(Method::GET, "/healthz")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn too_many_requests_without_a_token_have_to_wait() {
    let harness = Harness::idle().await;
    let from = |last: u8| {
        let address = IpAddr::from([127, 0, 0, last]);
        reqwest::Client::builder().no_proxy().local_address(address).build().unwrap()
    };
    let (one, other) = (from(1), from(2));
    let ask = async |http: &reqwest::Client, path: &str, token: Option<&str>| {
        let request = http.get(format!("http://{}{path}", harness.address));
        let request = match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        answered(request).await
    };
    // They are answered faster than the allowance returns; only how long it takes to use it up depends on the machine.
    for path in ["/api/v1/sites", "/healthz", "/readyz"] {
        let refused = async {
            loop {
                let answers = join_all((0..32).map(|_| ask(&one, path, None))).await;
                if let Some(refused) = answers.into_iter().find(|answer| answer.status == 429) {
                    return refused;
                }
            }
        };
        let refused = timeout(Duration::from_mins(1), refused).await.expect("there is an end");
        assert_eq!(problem(&refused, 429), "too-many-anonymous-requests", "{path}");
        assert_eq!(refused.headers["retry-after"], "1", "{path}");
        assert_eq!(
            ask(&one, path, Some(&harness.token)).await.status,
            StatusCode::OK,
            "a right token gets past: {path}"
        );
        assert_ne!(ask(&other, path, None).await.status, StatusCode::TOO_MANY_REQUESTS, "{path}");
    }
    let wrong = join_all((0..64).map(|_| ask(&one, "/healthz", Some("hp_wrong")))).await;
    assert!(wrong.iter().any(|answer| answer.status != StatusCode::OK), "a wrong token gets past nothing");
}

#[tokio::test]
async fn requests_without_a_right_token_are_counted() {
    let harness = Harness::idle().await;
    let count = async |reason: &str| -> u64 {
        let metrics = harness.get("/metrics").await.body;
        let name = format!("hostplane_requests_refused_total{{reason=\"{reason}\"}} ");
        let line = metrics.as_str().unwrap().lines().find_map(|line| line.strip_prefix(&name));
        line.unwrap_or_else(|| panic!("{name}")).parse().unwrap()
    };
    let before = [count("no_token").await, count("wrong_token").await, count("throttled").await];
    answered(harness.without_token(Method::GET, "/api/v1/sites")).await;
    harness.exhaust([127, 0, 0, 3].into()).await;
    let after = [count("no_token").await, count("wrong_token").await, count("throttled").await];
    // Other tests of this process are counted too.
    assert!(before.iter().zip(after).all(|(before, after)| *before < after), "{before:?} {after:?}");
}
