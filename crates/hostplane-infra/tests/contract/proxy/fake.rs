//! The fake.

use std::sync::Arc;

use async_trait::async_trait;
use hostplane_infra::proxy::Proxy;
use hostplane_testing::contract::carry_out;
use hostplane_testing::fake::FakeWorld;

use super::{Harness, all_cases};

#[async_trait]
impl Harness for FakeWorld {
    fn proxy(&self) -> Arc<dyn Proxy> {
        Arc::new(self.clone())
    }

    fn after_restart(&self) -> Arc<dyn Proxy> {
        Arc::new(self.as_new_process())
    }

    async fn plant(&self, file: &str, contents: &str) {
        self.state().proxy.snippets.insert(file.to_owned(), contents.to_owned());
    }

    async fn uproot(&self, file: &str) {
        self.state().proxy.snippets.remove(file);
    }

    async fn body(&self, host: &str) -> Option<String> {
        let state = self.state();
        let contents = &state.proxy.loaded[state.proxy.serving(host)?];
        let (_, rest) = contents.split_once("respond \"")?;
        Some(rest.split_once('"')?.0.to_owned())
    }
}

#[tokio::test]
async fn the_fake_keeps_to_the_contract() {
    let failed = carry_out::<dyn Harness>(&FakeWorld::default(), all_cases()).await;
    assert_eq!(failed, [""; 0], "cases failed");
}
