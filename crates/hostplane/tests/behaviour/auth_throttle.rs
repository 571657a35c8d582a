//! A client that sends many wrong tokens has to wait; no other client does.

use std::net::IpAddr;

use reqwest::{Method, StatusCode};

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
