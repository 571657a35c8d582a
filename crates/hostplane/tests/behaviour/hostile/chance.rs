//! Random requests, the same each time.

use proptest::prelude::{Strategy, any};
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::Value;

use super::{Table, encoded};

pub fn requests(table: &mut Table) {
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let leaf = proptest::prop_oneof![
        proptest::strategy::Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
        "[a-z][a-z0-9]{0,8}".prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(3, 20, 4, |inner| {
        let key = "name|kind|title|scope|admin_user|[a-z_]{0,6}";
        proptest::prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((key, inner), 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    });
    let bytes = proptest::collection::vec(any::<u8>(), 1..60);
    let text = "\\PC{1,30}";
    for _ in 0..120 {
        let mut draw = |strategy: &dyn Fn(&mut TestRunner) -> Vec<u8>| strategy(&mut runner);
        let body = draw(&|runner| value.new_tree(runner).unwrap().current().to_string().into_bytes());
        table.post("/api/v1/sites", &body);
        table.post("/api/v1/tokens", &body);
        let noise = draw(&|runner| bytes.new_tree(runner).unwrap().current());
        table.post("/api/v1/sites", &noise);
        let word = encoded(&draw(&|runner| text.new_tree(runner).unwrap().current().into_bytes()));
        table.get(&format!("/api/v1/{word}"));
        table.get(&format!("/api/v1/sites?{word}"));
        table.get(&format!("/api/v1/sites?cursor={word}"));
        table.get(&format!("/api/v1/jobs?cursor={word}"));
        table.get(&format!("/api/v1/jobs/{word}/events"));
        table.add("DELETE", &format!("/api/v1/sites/hello?confirm={word}"), &[], b"");
        // No control characters, which no header can hold.
        let shown: Vec<u8> = noise.iter().copied().filter(|byte| *byte >= b' ' && *byte != 0x7f).collect();
        table.add("GET", "/api/v1/sites", &[("authorization", &[b"Bearer ", &shown[..]].concat())], b"");
    }
}
